# Parallel builds that fail from outside: a worker is killed so that the server
# starts anew; shared memory is not to be had.  Nothing is left of the build, the
# other index is sound, and the next build works, and is there after another crash.

use strict;
use warnings;

use IPC::Run;
use VecxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', shared_buffers => '64MB', fsync => 'off', max_worker_processes => 8,
	min_parallel_table_scan_size => 0, max_parallel_maintenance_workers => 2,
	dynamic_shared_memory_type => 'mmap', restart_after_crash => 'on', wal_level => 'replica');
my $segments = $node->data_dir . '/pg_dynshmem';
my $slow = 'CREATE INDEX built ON items USING vecx (v vector_l2_ops) WITH (ef_construction = 2000)';
my $workers = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'parallel worker' LIMIT 1};

make_table($node, 'items', rows => 8000, dim => 64, clusters => 40);
$node->safe_psql('postgres', 'CREATE INDEX other ON items USING vecx (v vector_cosine_ops)');

sub nothing_is_left
{
	my ($name) = @_;

	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relname = 'built'}), '0', "no index is left: $name");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_ls_tmpdir()'), '0', "no temporary file is left: $name");
	check_index($node, 'other', "the other index: $name");
}

# A worker is killed.
my $before = 0;
$before += -s $_ // 0 foreach glob("$segments/mmap.*");
my ($out, $err) = ('', '');
my $session = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $slow ],
	'<', '/dev/null', '>', \$out, '2>', \$err);
ok($node->poll_query_until('postgres', "SELECT EXISTS ($workers)"), 'a worker runs');
my $during = 0;
$during += -s $_ // 0 foreach glob("$segments/mmap.*");
cmp_ok($during, '>', $before, 'a build has a segment of shared memory');
cmp_ok($during - $before, '<', 4 << 20, 'a small one: rows go through files');
my $worker = $node->safe_psql('postgres', $workers);
ok($worker && kill('KILL', $worker), 'the worker is killed');
$session->finish;
like($err, qr/terminating connection|server closed the connection/, 'the session ends with the server');
ok($node->poll_query_until('postgres', 'SELECT true'), 'the server is there again');
nothing_is_left('after a crash');

# No shared memory is to be had.
chmod 0500, $segments or die "cannot change $segments: $!";
my $status = $node->psql('postgres', $slow, stderr => \$err);
isnt($status, 0, 'without shared memory CREATE INDEX fails');
like($err, qr/ERROR:  could not open shared memory segment/, 'and says why');
nothing_is_left('without shared memory');
$node->safe_psql('postgres', 'SET max_parallel_maintenance_workers = 0; CREATE INDEX built ON items USING vecx (v vector_l2_ops)');
check_index($node, 'built', 'a build alone needs none');
chmod 0700, $segments or die "cannot change $segments: $!";

$node->safe_psql('postgres', 'REINDEX INDEX built');
check_index($node, 'built', 'a build with workers after all that');
cmp_ok($node->safe_psql('postgres', q{SELECT vecx_recall('built', samples => 100, ef => 100)}), '>', 0.98, 'its recall');

# What was built by several processes, which log its pages, is there after a crash.
$node->safe_psql('postgres', 'CHECKPOINT; REINDEX INDEX built');
$node->stop('immediate');
$node->start;
check_index($node, 'built', 'a build with workers after a crash');
cmp_ok($node->safe_psql('postgres', q{SELECT vecx_recall('built', samples => 100, ef => 100)}), '>', 0.98, 'its recall after a crash');

$node->stop;

done_testing();
