<?php
// PHP's memcached extension against a rushq that listens on 127.0.0.1 at the port given. Called by clients.sh.
require __DIR__ . '/expect.php';

function connected(int $port, array $options = []): Memcached
{
    $client = new Memcached();
    expect('options', $client->setOptions($options), true);
    expect('addServer', $client->addServer('127.0.0.1', $port), true);
    return $client;
}

function types_come_back(int $port): void
{
    $serializers = [Memcached::SERIALIZER_PHP, Memcached::SERIALIZER_IGBINARY, Memcached::SERIALIZER_MSGPACK];
    $compressions = [
        [Memcached::OPT_COMPRESSION => false],
        [Memcached::OPT_COMPRESSION => true, Memcached::OPT_COMPRESSION_TYPE => Memcached::COMPRESSION_FASTLZ],
        [Memcached::OPT_COMPRESSION => true, Memcached::OPT_COMPRESSION_TYPE => Memcached::COMPRESSION_ZLIB],
    ];
    foreach ($serializers as $serializer) {
        foreach ($compressions as $compression) {
            $client = connected($port, $compression + [Memcached::OPT_SERIALIZER => $serializer]);
            foreach (values() as $name => $value) {
                expect("set, $name", $client->set('types', $value), true);
                expect("get, $name", $client->get('types'), $value);
            }
            expect('get of an empty queue', $client->get('types'), false);
            expect('why', $client->getResultCode(), Memcached::RES_NOTFOUND);
            $client->quit();
        }
    }
    // The upper half of the flags is the user's.
    $client = connected($port, [Memcached::OPT_USER_FLAGS => 0xbeef]);
    $client->set('types', 1.5);
    $taken = $client->get('types', null, Memcached::GET_EXTENDED);
    expect('value beside flags', $taken['value'], 1.5);
    expect("user's flags", $taken['flags'], 0xbeef);
}

// Buffered, without replies, without blocking: the order is the same.
function first_in_first_out(int $port): void
{
    $ways = [
        [],
        [Memcached::OPT_NO_BLOCK => true, Memcached::OPT_TCP_NODELAY => true],
        [Memcached::OPT_BUFFER_WRITES => true],
        [Memcached::OPT_NOREPLY => true],
    ];
    foreach ($ways as $way) {
        $client = connected($port, $way);
        for ($number = 0; $number < 100; $number++) {
            for ($queue = 0; $queue < 4; $queue++) {
                expect('set', $client->set("php-$queue", $number), true);
            }
        }
        for ($queue = 0; $queue < 4; $queue++) {
            for ($number = 0; $number < 100; $number++) {
                expect("get php-$queue", $client->get("php-$queue"), $number);
            }
        }
    }
}

function many_at_once(int $port): void
{
    $client = connected($port);
    $messages = ['many-1' => 1, 'many-2' => '2', 'many-3' => [3]];
    expect('setMulti', $client->setMulti($messages), true);
    // The replies of the shards come in the order of the question.
    expect('getMulti', $client->getMulti([...array_keys($messages), 'many-nothing']), $messages);
    expect('getMulti, all empty', $client->getMulti(array_keys($messages)), []);
    $client->setMulti($messages);
    expect('getDelayed', $client->getDelayed(array_keys($messages)), true);
    expect('fetchAll', array_column($client->fetchAll(), 'value', 'key'), $messages);
}

function housekeeping(int $port): void
{
    $client = connected($port);
    $server = "127.0.0.1:$port";
    $client->set('gone', 1);
    expect('stats queue', $client->getStats('queue')[$server]['gone'], '1/0');
    expect('delete', $client->delete('gone'), true);
    expect('delete of what is not there', $client->delete('gone'), false);
    expect('why', $client->getResultCode(), Memcached::RES_NOTFOUND);
    $client->set('flushed', 1);
    expect('flush', $client->flush(), true);
    expect('get after a flush', $client->get('flushed'), false);
    expect('version', preg_match('/^[1-9]\d*\.\d+\.\d+$/', $client->getVersion()[$server]), 1);
    expect('stats: threads', $client->getStats()[$server]['threads'] >= 2, true);
    expect('set of a body that is too large', $client->set('large', random_bytes(2000000)), false);
    expect('why', $client->getResultCode(), Memcached::RES_E2BIG);
    expect('add, which queues do not have', $client->add('large', 1), false);
    expect('set after refusals', $client->set('large', 'small'), true);
    expect('get after refusals', $client->get('large'), 'small');

    $client = connected($port, [Memcached::OPT_BINARY_PROTOCOL => true]);
    $began = microtime(true);
    expect('set in the binary protocol', $client->set('binary', 1), false);
    expect('and it fails at once', microtime(true) - $began < 1, true);
}

$port = (int) $argv[1];
types_come_back($port);
first_in_first_out($port);
many_at_once($port);
housekeeping($port);
echo 'PHP memcached ', phpversion('memcached'), ': ', count(values()),
    " types with 3 serializers and 3 compressions, 1600 messages in 4 ways\n";
