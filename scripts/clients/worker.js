// A worker over npm's memcached; its roles are in workers.py.
// worker.js <take|finish> <port> <queue> <name>
'use strict';
const assert = require('assert');
const Memcached = require('memcached');

// A connection in doubt is not tried again in secret. What a connection holds needs a pool of one.
function connected(port, poolSize) {
    const client = new Memcached(`127.0.0.1:${port}`, { poolSize, retries: 0, timeout: 10000 });
    const call = (name) => (key) =>
        new Promise((resolve, reject) => {
            client[name](key, (error, data) => (error ? reject(new Error(String(error))) : resolve(data)));
        });
    return { get: call('get'), del: call('del'), end: () => client.end() };
}

async function main(role, port, queue, name) {
    const client = connected(port, 1);
    if (role === 'take') {
        console.log(await client.get(`${queue}/open/t=2000`));
        setTimeout(() => process.exit(1), 60000);
        return;
    }
    const pools = [connected(port, 4), connected(port, 4)];
    console.log(await pools[0].get(`${queue}/open/as=${name}/t=2000`));
    assert.notStrictEqual(await pools[0].get(`${queue}/open/as=${name}`), undefined);
    assert.strictEqual(await pools[1].del(`${queue}/as=${name}`), true);
    console.log(await client.get(`${queue}/open`));
    assert.strictEqual(await client.get(`${queue}/close`), undefined);
    assert.strictEqual(await client.get(`${queue}/open`), undefined);
    [client, ...pools].forEach((each) => each.end());
}

main(...process.argv.slice(2)).catch((error) => {
    console.error(error.message);
    process.exit(1);
});
