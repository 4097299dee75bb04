# Commands that are cancelled or run out of space: they leave nothing behind that
# matters, and what follows finishes the job.

use strict;
use warnings;

use IPC::Run;
use VecxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $dim = 128;
my $node = new_node('main', shared_buffers => '64MB', fsync => 'off', log_lock_waits => 'off');

make_table($node, 'items', rows => 6000, dim => $dim, clusters => 100);
$node->safe_psql('postgres', 'CREATE TABLE source AS SELECT * FROM items');

sub whole
{
	my ($name) = @_;

	check_index($node, 'items_v_idx', $name);
	is( $node->safe_psql('postgres', q{
			SET enable_seqscan = off;
			SET enable_sort = off;
			SELECT count(*), count(DISTINCT id), sum(id)
			FROM (SELECT id FROM items ORDER BY v <-> (SELECT v FROM source WHERE id = 1) OFFSET 0) s}),
		$node->safe_psql('postgres', 'SELECT count(*), count(*), sum(id) FROM items'),
		"every row once: $name");
	return;
}

# Runs a command in a session of its own and cancels it in each of some phases:
# when the condition on pg_stat_activity's row a (and on progress p) comes true.
sub cancel_when
{
	my ($command, $view, $condition, $name) = @_;
	my ($out, $err) = ('', '');
	my $session = IPC::Run::start(
		[
			'psql', '-XAtq', '-d', $node->connstr('postgres') . ' application_name=victim',
			map { ('-c', $_) } split /; /, $command
		],
		'<', '/dev/null', '>', \$out, '2>', \$err);
	my $tries = 0;
	my $cancelled = '';

	while ($cancelled ne 't' && $session->pumpable && $tries++ < 2000)
	{
		$session->pump_nb;
		$cancelled = $node->safe_psql('postgres', qq{
			SELECT pg_cancel_backend(pid) FROM pg_stat_activity a
				JOIN $view p USING (pid) WHERE application_name = 'victim' AND $condition});
	}
	$session->finish;
	like($err, qr/canceling statement due to user request/, "cancelled: $name");
	return;
}

# CREATE INDEX, while it links, alone and with a worker
my $before = $node->safe_psql('postgres', "SELECT sum(size) FROM pg_ls_dir('base/' || (SELECT oid FROM pg_database WHERE datname = 'postgres')) f,
	LATERAL (SELECT size FROM pg_stat_file('base/' || (SELECT oid FROM pg_database WHERE datname = 'postgres') || '/' || f)) s");
my $create = 'CREATE INDEX items_v_idx ON items USING vecx (v vector_l2_ops) WITH (ef_construction = 2000)';
cancel_when($create, 'pg_stat_progress_create_index', "p.phase ~ 'linking'", 'CREATE INDEX while it links');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relname ~ 'items_v_idx'"), '0', 'no index is left');
cancel_when("SET maintenance_work_mem = '1MB'; $create",
	'pg_stat_progress_create_index', "p.phase ~ 'linking'", 'CREATE INDEX with its data in files');
cancel_when("SET min_parallel_table_scan_size = 0; SET max_parallel_maintenance_workers = 1; $create",
	'pg_stat_progress_create_index', "p.phase ~ 'linking'", 'CREATE INDEX with a worker');
$node->psql('postgres', "SET statement_timeout = '200ms'; $create");
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relname ~ 'items_v_idx'"), '0', 'no index is left');
cancel_when('CREATE INDEX CONCURRENTLY items_v_idx ON items USING vecx (v vector_l2_ops) WITH (ef_construction = 2000)',
	'pg_stat_progress_create_index', "p.phase ~ 'linking'", 'CREATE INDEX CONCURRENTLY');
is($node->safe_psql('postgres', "SELECT indisvalid FROM pg_index WHERE indexrelid = 'items_v_idx'::regclass"),
	'f', 'an invalid index is left, as of any access method');
$node->safe_psql('postgres', 'DROP INDEX items_v_idx; CHECKPOINT');
my $after = $node->safe_psql('postgres', "SELECT sum(size) FROM pg_ls_dir('base/' || (SELECT oid FROM pg_database WHERE datname = 'postgres')) f,
	LATERAL (SELECT size FROM pg_stat_file('base/' || (SELECT oid FROM pg_database WHERE datname = 'postgres') || '/' || f)) s");
cmp_ok($after, '<', $before + 1000000, 'no file is left');

# a build that outgrows its memory goes on in files
my ($status, $out, $err) = $node->psql('postgres',
	"SET maintenance_work_mem = '1MB'; CREATE INDEX items_v_idx ON items USING vecx (v vector_l2_ops)");
is($err, '', 'a small maintenance_work_mem is nothing to tell of');
whole('after a build in files');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_ls_tmpdir()'), '0', 'no temporary file is left');

# VACUUM, at some moments of its work, then a whole one
$node->safe_psql('postgres', 'DELETE FROM items WHERE id % 3 <> 0');
foreach my $timeout (10, 30, 60, 100, 200)
{
	$node->psql('postgres', "SET statement_timeout = '${timeout}ms'; VACUUM items");
	check_index($node, 'items_v_idx', "VACUUM was stopped after $timeout ms");
}
# the last of them may have finished the job
$node->safe_psql('postgres', 'DELETE FROM items WHERE id % 12 = 0');
cancel_when("SET vacuum_cost_delay = 5; SET vacuum_cost_limit = 20; VACUUM items", 'pg_stat_progress_vacuum',
	"p.phase = 'vacuuming indexes'", 'VACUUM of the index');
whole('after VACUUM was cancelled');
# what others insert meanwhile does not hang on to what is to be removed
$node->safe_psql('postgres', "INSERT INTO items SELECT id + 10000, v, tag FROM source WHERE id % 3 = 1 AND id < 2000");
whole('after inserts into an index half vacuumed');
$node->safe_psql('postgres', 'VACUUM items');
whole('after a whole VACUUM');
is($node->safe_psql('postgres', "SELECT dead FROM vecx_info('items_v_idx')"), '0', 'no dead vertex is left');

# an INSERT that fails half way
$node->safe_psql('postgres', 'CREATE UNIQUE INDEX items_id ON items (id)');
$node->psql('postgres', 'INSERT INTO items SELECT 20000 + id % 300, v, tag FROM source WHERE id < 400');
$node->psql('postgres', "SET statement_timeout = '50ms'; INSERT INTO items SELECT 30000 + id, v, tag FROM source");
whole('after inserts that failed');
$node->safe_psql('postgres', 'VACUUM items');
whole('after inserts that failed, and VACUUM');

$node->stop;

# A full disk.  Instead of a file system of its own, which only root could mount,
# the server gets a limit on the size of its files: they cannot be extended then
# for another reason, but at the same places.
SKIP:
{
	my $limit = 3584 * 1024;

	skip 'no prlimit to simulate a full disk with', 1
	  if system('prlimit --version >/dev/null 2>&1') != 0;

	my $full = PostgreSQL::Test::Cluster->new('full');
	$full->init(extra => [ '--locale=C.UTF-8', '--encoding=UTF8', '--wal-segsize=1' ]);
	$full->append_conf('postgresql.conf', "autovacuum = off\nmax_wal_size = 64MB\nmin_wal_size = 2MB\nfsync = off");
	$full->start;
	$full->safe_psql('postgres', 'CREATE EXTENSION vecx');
	make_table($full, 'source', rows => 8000, dim => $dim, clusters => 100);
	$full->safe_psql(
		'postgres', qq{
		CREATE TABLE items (id int, v vector($dim), tag int);
		INSERT INTO items SELECT * FROM source WHERE id <= 1500;
		CREATE INDEX items_v_idx ON items USING vecx (v vector_l2_ops);
	});
	# What is started from here on has the limit.
	$full->stop;
	system("prlimit --pid $$ --fsize=$limit:") == 0 or die 'prlimit';
	$full->start;
	system("prlimit --pid $$ --fsize=unlimited:") == 0 or die 'prlimit';
	$node = $full;

	($status, $out, $err) = $full->psql('postgres', 'CREATE INDEX source_v_idx ON source USING vecx (v vector_l2_ops)');
	like($err, qr/ERROR:  could not (extend|write)[^\n]*File too large/, 'CREATE INDEX fails with a clear error');
	is($full->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relname = 'source_v_idx'"), '0',
		'no index is left');
	whole('after CREATE INDEX failed for want of space');
	my $failed = 0;
	foreach my $i (1 .. 162)
	{
		last if $failed;
		($status, $out, $err) = $full->psql('postgres',
			"INSERT INTO items SELECT id, v, tag FROM source WHERE id > 1460 + $i * 40 AND id <= 1500 + $i * 40");
		$failed = 1 if $status;
	}
	like($err, qr/ERROR:  could not (extend|write)[^\n]*File too large/, 'INSERT fails with a clear error');
	whole('after INSERT failed for want of space');
	$full->psql('postgres', 'INSERT INTO items SELECT id + 10000, v, tag FROM source WHERE id < 100');
	whole('after another one failed');
	$full->safe_psql('postgres', 'DELETE FROM items WHERE id % 2 = 0');
	$full->psql('postgres', 'VACUUM items');
	$full->psql('postgres', 'INSERT INTO items SELECT id + 20000, v, tag FROM source WHERE id < 100');
	whole('after room was made');

	# New sessions have all the space they want.
	my ($pid) = slurp_file($full->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	system("prlimit --pid $pid --fsize=unlimited:") == 0 or die 'prlimit';
	$full->safe_psql('postgres', 'VACUUM items');
	$full->safe_psql('postgres', 'INSERT INTO items SELECT id + 30000, v, tag FROM source');
	whole('with space again');
	$full->safe_psql('postgres', 'CREATE INDEX source_v_idx ON source USING vecx (v vector_l2_ops)');
	check_index($full, 'source_v_idx', 'CREATE INDEX with space again');
	unlike(slurp_file($full->logfile), qr/PANIC|terminated by signal|TRAP/, 'the server stayed up');
	$full->stop;
}

# Inserts into posting lists that are cancelled at any moment, many while they split lists:
# the committed rows are there, once each, before VACUUM has mended anything and after.
my $lists = new_node('lists', fsync => 'off');
make_table($lists, 'source', rows => 6000, dim => 64, clusters => 30);
$lists->safe_psql('postgres', q{
	CREATE TABLE items (id serial, v vector(64)) WITH (autovacuum_enabled = off);
	CREATE INDEX items_v_idx ON items USING vecx (v) WITH (structure = lists, list_rows = 32)});
my $script = join '', map {
	'SET statement_timeout = ' . (2 + $_ * 7 % 40) . ";\n" .
	  'INSERT INTO items (v) SELECT v FROM source WHERE id % 20 = ' . $_ % 20 . ";\n"
} 1 .. 150;
my $cancelled = '';
$lists->psql('postgres', $script, on_error_stop => 0, stderr => \$cancelled);
my $times = () = $cancelled =~ /canceling statement/g;
cmp_ok($times, '>', 5, "$times inserts were cancelled");
foreach my $when ('before VACUUM', 'after it')
{
	check_index($lists, 'items_v_idx', "lists after cancelled inserts, $when");
	is( $lists->safe_psql('postgres', q{
			SET enable_seqscan = off;
			SET enable_sort = off;
			SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM items ORDER BY v <-> (SELECT v FROM source WHERE id = 1)) s}),
		$lists->safe_psql('postgres', 'SELECT count(*), count(*) FROM items'),
		"every row of the lists once, $when");
	$lists->safe_psql('postgres', 'VACUUM items');
}

# A split that is cancelled while it reads the rows leaves the list closed.  The next insert that
# meets it opens it.
$lists->safe_psql('postgres', q{
	CREATE FUNCTION slowly(v vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
		PERFORM pg_sleep(coalesce(nullif(current_setting('test.sleep', true), ''), '0')::float);
		RETURN v;
	END $$;
	CREATE TABLE slow (id serial, v vector(64)) WITH (autovacuum_enabled = off);
	INSERT INTO slow (v) SELECT v FROM source LIMIT 200;
	CREATE INDEX slow_v_idx ON slow USING vecx ((slowly(v)::vector(64))) WITH (structure = lists, list_rows = 100)});
my $insert = 'INSERT INTO slow (v) SELECT v FROM source OFFSET (SELECT count(*) FROM slow) LIMIT ';
my $info = "SELECT closed_lists FROM vecx_info('slow_v_idx')";
my $opened = 0;
foreach my $i (1 .. 60)
{
	# most of the time goes by while a list is split
	my $status = $lists->psql('postgres', "SET test.sleep = .0005; SET statement_timeout = 200; ${insert}100");
	my $closed = $lists->safe_psql('postgres', $info);

	foreach my $j (1 .. ($status == 0 ? 0 : 30))
	{
		$lists->safe_psql('postgres', $insert . 1);
		$opened |= $lists->safe_psql('postgres', $info) < $closed;
		last if $opened;
	}
	last if $opened;
}
ok($opened, 'an insert opens a list that a cancelled split left closed');
check_index($lists, 'slow_v_idx', 'a list that was opened again');
$lists->stop;

done_testing();
