# A worker over Perl's Cache::Memcached or Cache::Memcached::Fast; its roles are in workers.py.
# worker.pl <Cache::Memcached|Cache::Memcached::Fast> <take|finish> <port> <queue> <name>
use strict;
use warnings;

my ($kind, $role, $port, $queue, $name) = @ARGV;
(my $file = "$kind.pm") =~ s{::}{/}g;
require $file;
$| = 1;

# Both wait for a second where nothing else is said.
sub connected {
    return $kind->new({ servers => ["127.0.0.1:$port"], select_timeout => 10, io_timeout => 10 });
}

my $client = connected();
if ($role eq 'take') {
    print $client->get("$queue/open/t=2000"), "\n";
    sleep 60;
    exit 1;
}
# Cache::Memcached keeps its connections for the whole program.
Cache::Memcached->disconnect_all if $kind eq 'Cache::Memcached';
my $other = connected();
print $client->get("$queue/open/as=$name/t=2000"), "\n";
defined $client->get("$queue/open/as=$name") or die 'asked again: nothing';
$other->disconnect_all if $kind eq 'Cache::Memcached';
$other->delete("$queue/as=$name") or die 'delete: not deleted';
print $client->get("$queue/open"), "\n";
defined $client->get("$queue/close") and die 'close: it brought something';
defined $client->get("$queue/open") and die 'open of an empty queue: it brought something';
