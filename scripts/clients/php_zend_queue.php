<?php
// The calls of Zend_Queue's memcacheQ adapter, in its order: PHP's memcache for messages, and a socket of its own for the
// rest, which it reads by the line until the one that it waits for. Called by clients.sh.
require __DIR__ . '/expect.php';

final class Adapter
{
    private Memcache $cache;
    /** @var resource */
    private $socket;

    public function __construct(int $port)
    {
        $this->cache = new Memcache();
        $this->cache->connect('127.0.0.1', $port);
        $this->socket = fsockopen('127.0.0.1', $port, $error, $message, 10);
        stream_set_timeout($this->socket, 10);
    }

    // What every PHP process does first. It looks for the bare name among "name 3/1", and never finds it.
    public function create(string $queue): void
    {
        $this->lines('stats queue', ['END']);
        $this->cache->set($queue, 'creating queue', 0, 15);
        $this->cache->get($queue);
    }

    public function send(string $queue, string $message): void
    {
        expect('send', $this->cache->set($queue, $message, 0, 0), true);
    }

    public function receive(string $queue): mixed
    {
        return $this->cache->get($queue);
    }

    public function delete(string $queue): bool
    {
        return $this->lines("delete $queue", ['DELETED', 'NOT_FOUND']) === 'DELETED';
    }

    public function lines(string $command, array $last): string
    {
        fwrite($this->socket, "$command\r\n");
        for ($line = 0; $line < 10000; $line++) {
            $found = trim((string) fgets($this->socket, 1024));
            if (in_array($found, $last)) {
                return $found;
            }
            expect("a line of $command before its last", str_starts_with($found, 'STAT '), true);
        }
        expect("lines before the last of $command", $line, 'fewer');
        return '';
    }
}

$port = (int) $argv[1];
// Each Adapter has connections of its own, as a PHP process would.
$processes = 6;
for ($process = 0; $process < $processes; $process++) {
    $adapter = new Adapter($port);
    $adapter->create('zend');
    $adapter->send('zend', "message $process");
}
for ($process = 0; $process < $processes; $process++) {
    $adapter = new Adapter($port);
    $adapter->create('zend');
    expect('receive', $adapter->receive('zend'), "message $process");
}
expect('receive from an empty queue', $adapter->receive('zend'), false);
expect('delete', $adapter->delete('zend'), true);
expect('delete of what is not there', $adapter->delete('zend'), false);
$processes *= 2;
echo "PHP, as Zend_Queue calls it: $processes processes created the queue, and none lost a message\n";
