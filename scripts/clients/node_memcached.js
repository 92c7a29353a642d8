// npm's memcached against a rushq that listens on 127.0.0.1 at the port given. Called by clients.sh.
'use strict';
const assert = require('assert');
const Memcached = require('memcached');

function expect(what, found, expected) {
    assert.deepStrictEqual(found, expected, `${what}: found ${shown(found)}, expected ${shown(expected)}`);
}

function shown(value) {
    return `${JSON.stringify(value)}`.slice(0, 300);
}

const values = {
    zero: 0,
    negative: -7,
    float: 1.5,
    'large integer': 2 ** 53 - 1,
    true: true,
    false: false,
    null: null,
    'empty string': '',
    digits: '0123',
    text: 'Straße №5 🎫',
    protocol: '\r\nEND\r\nVALUE q 0 1\r\nx\r\n',
    'every byte': Buffer.from([...Array(256).keys()]),
    long: 'abc'.repeat(20000),
    list: [1, '1', true, null],
    object: { seats: [14, 'A', { row: null }] },
};

async function typesComeBack(client) {
    for (const [name, value] of Object.entries(values)) {
        expect(`set, ${name}`, await client.set('types', value, 0), true);
        expect(`get, ${name}`, await client.get('types'), value);
    }
    expect('get of an empty queue', await client.get('types'), undefined);
}

async function firstInFirstOut(client) {
    for (let number = 0; number < 20; number++) {
        // Over several connections at once, each to a queue of its own.
        await Promise.all([...Array(16).keys()].map((queue) => client.set(`js-${queue}`, number, 0)));
    }
    for (let number = 0; number < 20; number++) {
        const taken = await Promise.all([...Array(16).keys()].map((queue) => client.get(`js-${queue}`)));
        expect('get of 16 queues', taken, Array(16).fill(number));
    }
}

async function manyAtOnce(client) {
    const messages = { 'many-1': 1, 'many-2': '2', 'many-3': [3] };
    for (const [queue, value] of Object.entries(messages)) {
        await client.set(queue, value, 0);
    }
    expect('getMulti', { ...(await client.getMulti([...Object.keys(messages), 'many-nothing'])) }, messages);
    await client.set('numbered', 7, 0);
    const { cas, numbered } = await client.gets('numbered');
    expect('gets', numbered, 7);
    expect('gets gives a number', /^\d+$/.test(cas), true);
}

async function housekeeping(client) {
    await client.set('gone', 1, 0);
    expect('del', await client.del('gone'), true);
    expect('del of what is not there', await client.del('gone'), false);
    await client.set('flushed', 1, 0);
    expect('flush', await client.flush(), [true]);
    expect('get after a flush', await client.get('flushed'), undefined);
    expect('version', /^[1-9]\d*\.\d+\.\d+$/.test((await client.version())[0].version), true);
    // Its parser loses lines when stats comes in more than one piece.
    for (let number = 0; number < 20; number++) {
        const [stats] = await client.stats();
        expect('stats: first', typeof stats.pid, 'number');
        expect('stats: queues', typeof stats.queues, 'number');
        expect('stats: threads', stats.threads >= 2, true);
    }
    expect('settings', (await client.settings())[0].threads, 2);
    const answer = await client.add('unknown', 1, 0).catch((error) => error.message);
    expect('add, which queues do not have', answer, 'Error: Received an ERROR response');
    expect('set after an error', await client.set('after', 'x', 0), true);
    expect('get after an error', await client.get('after'), 'x');
}

async function main(port) {
    // A connection in doubt is not tried again in secret: that would take a message twice.
    const memcached = new Memcached(`127.0.0.1:${port}`, { poolSize: 4, retries: 0, timeout: 10000 });
    const client = {};
    for (const name of ['set', 'get', 'gets', 'getMulti', 'del', 'flush', 'version', 'stats', 'settings', 'add']) {
        // What it calls back with can be an array of errors, which it empties right afterwards.
        client[name] = (...words) =>
            new Promise((resolve, reject) => {
                memcached[name](...words, (error, data) => (error ? reject(new Error(String(error))) : resolve(data)));
            });
    }
    await typesComeBack(client);
    await firstInFirstOut(client);
    await manyAtOnce(client);
    await housekeeping(client);
    memcached.end();
    console.log(`npm's memcached: ${Object.keys(values).length} types, 640 commands over 4 connections`);
}

main(process.argv[2]).catch((error) => {
    console.error(error.message);
    process.exit(1);
});
