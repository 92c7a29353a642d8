<?php
// PHP's memcache extension against a rushq that listens on 127.0.0.1 at the port given. Called by clients.sh.
require __DIR__ . '/expect.php';

// The extension keeps the type in the flags' lower half, and leaves the upper one to the user.
const USER_FLAG = 0x80000000;

function types_come_back(Memcache $client): void
{
    foreach ([0, MEMCACHE_COMPRESSED, USER_FLAG] as $flags) {
        foreach (values() as $name => $value) {
            expect("set, $name", $client->set('types', $value, $flags, 0), true);
            $returned = 0;
            expect("get, $name", $client->get('types', $returned), $value);
            expect("user's flag, $name", $returned & USER_FLAG, $flags & USER_FLAG);
        }
    }
    $client->setCompressThreshold(100, 0.2);
    $client->set('types', str_repeat('abc', 100), 0, 0);
    expect('get of what was compressed', $client->get('types', $returned), str_repeat('abc', 100));
    expect('the flag says that it was', $returned, MEMCACHE_COMPRESSED);
    expect('get of an empty queue', $client->get('types'), false);
}

function first_in_first_out(Memcache $client): void
{
    for ($queue = 0; $queue < 16; $queue++) {
        for ($number = 0; $number < 20; $number++) {
            expect('set', $client->set("php-$queue", $number, 0, 3600), true);
        }
    }
    for ($number = 0; $number < 20; $number++) {
        for ($queue = 0; $queue < 16; $queue++) {
            expect("get php-$queue", $client->get("php-$queue"), $number);
        }
    }
}

function many_at_once(Memcache $client): void
{
    foreach (['a', 'b', 'c'] as $number) {
        $client->set('many-1', "1$number", 0, 0);
        $client->set('many-2', "2$number", 0, 0);
    }
    foreach (['a', 'b', 'c'] as $number) {
        $expected = ['many-1' => "1$number", 'many-2' => "2$number"];
        expect('get of three queues', $client->get(['many-1', 'many-2', 'many-nothing']), $expected);
    }
    expect('get of three queues, all empty', $client->get(['many-1', 'many-2', 'many-nothing']), []);
}

function housekeeping(Memcache $client, int $port): void
{
    $client->set('gone', 1, 0, 0);
    expect('delete', $client->delete('gone'), true);
    expect('delete of what is not there', $client->delete('gone'), false);
    $client->set('flushed', 1, 0, 0);
    expect('flush', $client->flush(), true);
    expect('get after a flush', $client->get('flushed'), false);
    expect('version', preg_match('/^[1-9]\d*\.\d+\.\d+$/', $client->getVersion()), 1);
    expect('stats: threads', $client->getStats()['threads'] >= 2, true);
    expect('set of a body that is too large', @$client->set('large', random_bytes(2000000), 0, 0), false);
    // The extension takes most errors for a dead server, and asks it nothing for 15 s.
    expect('the server is up', $client->getServerStatus('127.0.0.1', $port), 1);
    expect('set after a refusal', $client->set('large', 'small', 0, 0), true);
    expect('get after a refusal', $client->get('large'), 'small');
}

$port = (int) $argv[1];
// Several connections, so that both shards get some.
for ($connection = 0; $connection < 4; $connection++) {
    $client = new Memcache();
    expect('connect', $client->connect('127.0.0.1', $port, 10), true);
    types_come_back($client);
    first_in_first_out($client);
    many_at_once($client);
    housekeeping($client, $port);
    expect('close', $client->close(), true);
}
echo 'PHP memcache ', phpversion('memcache'), ': ', count(values()), " types in 3 ways over 4 connections\n";
