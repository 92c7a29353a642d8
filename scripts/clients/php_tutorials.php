<?php
// The PHP code that people find when they look for a queue that speaks memcache, word for word but for host and port.
// Called by clients.sh.
require __DIR__ . '/expect.php';

$port = (int) $argv[1];

// Numbers, with the functions.
$m = memcache_connect('127.0.0.1', $port);
for ($i = 0; $i < 1000; $i++) {
    memcache_set($m, 'test', $i, 0, 0);
}
for ($i = 0; $i < 1000; $i++) {
    $number = memcache_get($m, 'test');
    expect("memcache_get is === $i", $number === $i, true);
}
expect('memcache_get of an empty queue', memcache_get($m, 'test'), false);
memcache_close($m);

// Strings, with the class, and a compression that such a short string does not get.
$m = new Memcache;
$m->connect('127.0.0.1', $port);
$m->set('demoqueue1', 'message body here1', MEMCACHE_COMPRESSED, 0);
$m->set('demoqueue1', 'message body here2', MEMCACHE_COMPRESSED, 0);
$m->set('demoqueue1', 'message body here3', MEMCACHE_COMPRESSED, 0);
$m->set('demoqueue1', 'message body here4', MEMCACHE_COMPRESSED, 0);
expect('first', $m->get('demoqueue1'), 'message body here1');
expect('second', $m->get('demoqueue1'), 'message body here2');
expect('third', $m->get('demoqueue1'), 'message body here3');
expect('fourth', $m->get('demoqueue1'), 'message body here4');
expect('none left', $m->get('demoqueue1'), false);
$m->close();

// A worker's loop, which ends when get says false.
$m = new Memcached();
$m->addServer('127.0.0.1', $port);
foreach (['a', 'b', 'c'] as $task) {
    $m->set('tasks', ['name' => $task]);
}
$done = [];
while (($task = $m->get('tasks')) !== false && count($done) < 10) {
    $done[] = $task['name'];
}
expect('tasks', $done, ['a', 'b', 'c']);
expect('why it ended', $m->getResultCode(), Memcached::RES_NOTFOUND);

echo "PHP tutorials: 1000 numbers with memcache_set, 4 strings with Memcache, 3 arrays with Memcached\n";
