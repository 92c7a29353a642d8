<?php
// A producer or consumer of the queue that all languages share, over PHP's memcache or memcached.
// produce <memcache|memcached> <port> <queue> <count>
// consume <memcache|memcached> <port> <queue> <file for what it takes> <file that is there when the producers are done>
require __DIR__ . '/expect.php';

const SECONDS_MAX = 90;

function connected(string $client, int $port): Memcache|Memcached
{
    if ($client === 'memcache') {
        $connection = new Memcache();
        expect('connect', $connection->connect('127.0.0.1', $port, 10), true);
        return $connection;
    }
    $connection = new Memcached();
    expect('addServer', $connection->addServer('127.0.0.1', $port), true);
    return $connection;
}

[, $role, $client, $port, $queue] = $argv;
$connection = connected($client, (int) $port);
$began = time();
if ($role === 'produce') {
    for ($number = 0; $number < (int) $argv[5] && time() - $began < SECONDS_MAX; $number++) {
        $body = "php-$client $number " . str_repeat('x', $number * 37 % 1500);
        // memcache has its flags where memcached has the time.
        $stored = $client === 'memcache' ? $connection->set($queue, $body, 0, 0) : $connection->set($queue, $body);
        expect("set $number", $stored, true);
    }
    expect('messages stored', $number, (int) $argv[5]);
} else {
    $taken = fopen($argv[5], 'x');
    while (true) {
        expect('out of time', time() - $began < SECONDS_MAX, true);
        $last = file_exists($argv[6]);
        $body = $connection->get($queue);
        if ($body !== false) {
            fwrite($taken, "$body\n");
        } elseif ($last) {
            break;
        } else {
            usleep(2000);
        }
        clearstatcache();
    }
    fclose($taken);
}
