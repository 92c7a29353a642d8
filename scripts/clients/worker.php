<?php
// A worker over PHP's memcached or memcache; its roles are in workers.py.
// worker.php <memcached|memcache> <take|finish> <port> <queue> <name>
require __DIR__ . '/expect.php';

[, $kind, $role, $port, $queue, $name] = $argv;

function connected(string $kind, int $port): Memcached|Memcache
{
    $client = $kind === 'memcached' ? new Memcached() : new Memcache();
    expect('addServer', $client->addServer('127.0.0.1', $port), true);
    return $client;
}

$client = connected($kind, (int) $port);
if ($role === 'take') {
    echo $client->get("$queue/open/t=2000"), "\n";
    sleep(60);
    exit(1);
}
$other = connected($kind, (int) $port);
echo $client->get("$queue/open/as=$name/t=2000"), "\n";
expect('asked again', is_string($client->get("$queue/open/as=$name")), true);
expect('delete', $other->delete("$queue/as=$name"), true);
echo $client->get("$queue/open"), "\n";
expect('close', $client->get("$queue/close"), false);
expect('open of an empty queue', $client->get("$queue/open"), false);
