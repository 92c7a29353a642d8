// A producer or consumer of the queue that all languages share, over npm's memcached.
// produce memcached <port> <queue> <count>
// consume memcached <port> <queue> <file for what it takes> <file that is there when the producers are done>
'use strict';
const fs = require('fs');
const Memcached = require('memcached');

const secondsMax = 90;

async function main(role, port, queue, ...rest) {
    // A connection in doubt is not tried again in secret: that would take a message nobody sees.
    const memcached = new Memcached(`127.0.0.1:${port}`, { poolSize: 1, retries: 0, timeout: 10000 });
    // What it calls back with can be an array of errors, which it empties right afterwards.
    const ask = (name, ...words) =>
        new Promise((resolve, reject) => {
            memcached[name](...words, (error, data) => (error ? reject(new Error(String(error))) : resolve(data)));
        });
    const ends = Date.now() + secondsMax * 1000;
    const inTime = () => {
        if (Date.now() >= ends) {
            throw new Error('out of time');
        }
    };
    if (role === 'produce') {
        for (let number = 0; number < Number(rest[0]); number++) {
            inTime();
            const stored = await ask('set', queue, `js ${number} ${'x'.repeat((number * 37) % 1500)}`, 0);
            if (stored !== true) {
                throw new Error(`set ${number}: found ${stored}, expected true`);
            }
        }
    } else {
        const [taken, done] = rest;
        const file = fs.openSync(taken, 'wx');
        for (;;) {
            inTime();
            const last = fs.existsSync(done);
            const body = await ask('get', queue);
            if (body !== undefined) {
                fs.writeSync(file, `${body}\n`);
            } else if (last) {
                break;
            } else {
                await new Promise((resolve) => setTimeout(resolve, 2));
            }
        }
        fs.closeSync(file);
    }
    memcached.end();
}

const [, , role, , port, queue, ...rest] = process.argv;
main(role, port, queue, ...rest).catch((error) => {
    console.error(error.message);
    process.exit(1);
});
