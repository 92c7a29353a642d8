<?php
// A check that ends the script, and no warning that goes by unnoticed. The extensions themselves are deprecated use of PHP 8.2.
error_reporting(E_ALL & ~E_DEPRECATED);
set_error_handler(function (int $severity, string $message): bool {
    if (error_reporting() & $severity) {
        fwrite(STDERR, "PHP says: $message\n");
        exit(1);
    }
    return false;
});

// serialize tells 1 from '1' and from 1.0 as === does, and compares objects by what they hold.
function expect(string $what, mixed $found, mixed $expected): void
{
    if (serialize($found) !== serialize($expected)) {
        fwrite(STDERR, "$what: found " . shown($found) . ', expected ' . shown($expected) . "\n");
        exit(1);
    }
}

function shown(mixed $value): string
{
    return substr(var_export($value, true), 0, 300);
}

final class Ticket
{
    public array $seats = [14, 'A', null];
    protected float $price = 12.5;
}

// Values by name, of every type that comes back as it went.
function values(): array
{
    return [
        'zero' => 0,
        'negative' => -7,
        'smallest integer' => PHP_INT_MIN,
        'largest integer' => PHP_INT_MAX,
        'float' => 1.5,
        'small float' => 1e-300,
        'true' => true,
        'false' => false,
        'empty string' => '',
        'digits' => '0123',
        'protocol' => "\r\nEND\r\nVALUE q 0 1\r\nx\r\n",
        'every byte' => implode(array_map('chr', range(0, 255))),
        'long and regular' => str_repeat('abc', 20000),
        'long and irregular' => random_bytes(300000),
        'list' => [1, '1', 1.0, true, null],
        'array' => ['a' => ['b' => 2.5], 7 => []],
        'long array' => range(1, 5000),
        'object' => new Ticket(),
    ];
}
