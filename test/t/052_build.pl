# Builds with little memory, with workers, and of many equal rows: the same rows,
# the same recall, and sound.  The estimate against the truth.

use strict;
use warnings;

use IPC::Run;
use VecxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $dim = 64;
my $node = new_node('main', shared_buffers => '128MB', fsync => 'off', max_worker_processes => 8,
	max_parallel_workers => 4, min_parallel_table_scan_size => 0);

make_table($node, 'items', rows => 8000, dim => $dim, clusters => 40);

# Builds anew with some settings, checks, and returns the recall.
sub build
{
	my ($settings, $name, %o) = @_;
	my $on = $o{on} // 'items';
	my $what = $o{what} // 'v vector_l2_ops';
	my ($status, $out, $err) = $node->psql('postgres', "DROP INDEX IF EXISTS built");

	foreach my $command ($o{concurrently}
		? ("$settings", "CREATE INDEX CONCURRENTLY built ON $on USING vecx ($what)")
		: ("$settings; CREATE INDEX built ON $on USING vecx ($what)" . ($o{where} // '')))
	{
		next if $command eq '';
		($status, $out, $err) = $node->psql('postgres', $command);
		is($err, '', "nothing to tell of: $name");
	}
	check_index($node, 'built', $name);
	return $node->safe_psql('postgres', "SELECT vecx_recall('built', samples => 100, ef => 100)");
}

sub vertices
{
	return $node->safe_psql('postgres', "SELECT vertices || ' ' || rows || ' ' || orphans FROM vecx_info('built')");
}

my $alone = 'SET max_parallel_maintenance_workers = 0';
my $team = 'SET max_parallel_maintenance_workers = 2';

cmp_ok(build($alone, 'alone'), '>', 0.98, 'recall of a build alone');
is(vertices(), '8000 8000 0', 'vertices and rows');
my $pages = $node->safe_psql('postgres', "SELECT pg_relation_size('built')");
my ($rows, $index_bytes, $build_bytes, $least) = split /\|/,
	$node->safe_psql('postgres', "ANALYZE items; SELECT * FROM vecx_estimate('items', 'v')");
is($rows, 8000, 'estimate: rows');
cmp_ok(abs($index_bytes / $pages - 1), '<', 0.4, "estimate: $index_bytes bytes, truth $pages");
cmp_ok($build_bytes, '>', $least, 'estimate: memory');
cmp_ok($node->safe_psql('postgres', "SELECT index_bytes FROM vecx_estimate('items', 'v', ARRAY['quantizer=none', 'm=32'])"),
	'>', 1.5 * $index_bytes, 'estimate: options count');

cmp_ok(build("$alone; SET maintenance_work_mem = '1MB'", 'in files'), '>', 0.98, 'recall of a build in files');
is(vertices(), '8000 8000 0', 'vertices and rows, in files');
cmp_ok(build($team, 'with workers'), '>', 0.98, 'recall of a build with workers');
is(vertices(), '8000 8000 0', 'vertices and rows, with workers');
cmp_ok(build("$team; SET maintenance_work_mem = '1MB'", 'workers, in files'), '>', 0.98, 'recall with workers, in files');
$node->safe_psql('postgres', 'ALTER SYSTEM SET max_parallel_maintenance_workers = 2; SELECT pg_reload_conf()');
cmp_ok(build('', 'concurrently', concurrently => 1), '>', 0.98, 'recall of CREATE INDEX CONCURRENTLY');
is(vertices(), '8000 8000 0', 'vertices and rows, concurrently');

# A row whose older version somebody still sees, on a page that a sample of the
# table need not have: whoever reads it, the index is marked as too new for that somebody.
$node->safe_psql('postgres', q{
	CREATE TABLE hot (id int PRIMARY KEY, v vector(64)) WITH (fillfactor = 50);
	INSERT INTO hot SELECT i, v FROM generate_series(1, 20000) i JOIN items ON items.id = 1 + i % 8000;
	VACUUM hot});
my $old = IPC::Run::start(
	[
		'psql', '-XAtq', '-d', $node->connstr('postgres'),
		'-c', 'BEGIN ISOLATION LEVEL REPEATABLE READ', '-c', 'SELECT 1',
		'-c', 'SELECT pg_sleep(600)'
	], '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
$node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)')});
$node->safe_psql('postgres', 'UPDATE hot SET v = (SELECT v FROM items WHERE id = 5) WHERE id = 777');
foreach my $name ('alone', 'team')
{
	my $settings = $name eq 'alone' ? $alone : $team;

	$node->safe_psql('postgres', "$settings; CREATE INDEX hot_$name ON hot USING vecx (v vector_l2_ops)");
	is($node->safe_psql('postgres', "SELECT indcheckxmin FROM pg_index WHERE indexrelid = 'hot_$name'::regclass"), 't',
		"not for older snapshots: $name");
}
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'});
$old->finish;

# an expression, a part of the rows, other metrics
build($team, 'expression', what => "(v::vector($dim)) vector_ip_ops");
build($team, 'partial', where => ' WHERE id % 3 = 0');
is(vertices() =~ s/ .*//r, $node->safe_psql('postgres', 'SELECT count(*) FROM items WHERE id % 3 = 0'), 'rows of a partial index');
build($team, 'cosine', what => 'v vector_cosine_ops');
build($team, 'bits', what => "(binary_quantize(v)::bit($dim)) bit_hamming_ops");
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_ls_tmpdir()}), '0', 'no temporary file is left');

# one leaf, whose members three processes share where memory has room for its distances three
# times, two of them where for two, and else one works on
$node->safe_psql('postgres', "CREATE TABLE leaf AS SELECT id, v::vector($dim) FROM items WHERE id <= 2500; ANALYZE leaf");
my $mean_links = "SELECT mean_links FROM vecx_info('built')";
build($alone, 'one leaf, alone', on => 'leaf');
my $links = $node->safe_psql('postgres', $mean_links);
foreach my $memory ('256MB', '60MB', '32MB')
{
	cmp_ok(build("$team; SET maintenance_work_mem = '$memory'", "one leaf, $memory", on => 'leaf'), '>', 0.98, "recall of one leaf, $memory");
	my $of_team = $node->safe_psql('postgres', $mean_links);
	cmp_ok(abs($of_team / $links - 1), '<', 0.02, "links of one leaf, $memory: $of_team, alone $links");
	is(vertices(), '2500 2500 0', "vertices and rows of one leaf, $memory");
	is($node->safe_psql('postgres', q{
			SET enable_seqscan = off;
			SELECT count(DISTINCT id) FROM (SELECT id FROM leaf ORDER BY v <-> (SELECT v FROM items WHERE id = 8000)) s}),
		'2500', "all rows of one leaf, $memory");
}
# fewer rows than participants have buckets, equal ones, and none
foreach my $rows (0, 1, 2, 40)
{
	$node->safe_psql('postgres', "TRUNCATE leaf; INSERT INTO leaf SELECT id, v FROM items WHERE id <= $rows;
		INSERT INTO leaf SELECT 9000, (SELECT v FROM items WHERE id = 1) FROM generate_series(1, 20 * ($rows > 0)::int)");
	build($team, "a leaf of $rows", on => 'leaf');
	is(vertices(), $rows . ' ' . ($rows > 0 ? $rows + 20 : 0) . ' 0', "vertices and rows of a leaf of $rows");
}
$node->safe_psql('postgres', 'DROP TABLE leaf');

# many copies of one vector, and pairs of equal ones read by different processes
$node->safe_psql('postgres', q{
	CREATE TABLE copies AS SELECT id, v FROM items WHERE id <= 2000;
	ALTER TABLE copies ALTER v TYPE vector(} . $dim . q{);
	INSERT INTO copies SELECT 100000 + i, (SELECT v FROM items WHERE id = 7) FROM generate_series(1, 30000) i;
	INSERT INTO copies SELECT 200000 + id, v FROM items WHERE id <= 2000;
	INSERT INTO copies VALUES (0, NULL);});
foreach my $settings ($alone, $team)
{
	build($settings, "copies: $settings", on => 'copies');
	is(vertices(), '2000 34001 0', "a vertex for each vector: $settings");
	is($node->safe_psql('postgres', q{
			SET enable_seqscan = off;
			SELECT count(*), count(DISTINCT id) FROM
				(SELECT id FROM copies ORDER BY v <-> (SELECT v FROM items WHERE id = 7) LIMIT 30002) s
			WHERE id = 7 OR id = 200007 OR id BETWEEN 100001 AND 130000}), '30002|30002', "all copies first: $settings");
}

# temporary files are where the user wants them
my $elsewhere = PostgreSQL::Test::Utils::tempdir();
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$elsewhere'");
my $logged = -s $node->logfile;
build("$alone; SET maintenance_work_mem = '1MB'; SET temp_tablespaces = elsewhere; SET log_temp_files = 0",
	'in files elsewhere');
my $log = slurp_file($node->logfile, $logged);
like($log, qr{temporary file: path "pg_tblspc}, 'temporary files in the tablespace for them');
unlike($log, qr{temporary file: path "base}, 'and no others');

# points that did not fit, and do when links are there, which took 64 chunks of 256 kB at least
make_table($node, 'wide', rows => 17000, dim => 1024);
build("$alone; SET maintenance_work_mem = '38MB'", 'from files to memory', on => 'wide');
is(vertices() =~ s/ \d+$//r, '17000 17000', 'vertices and rows, from files to memory');
$node->safe_psql('postgres', 'DROP TABLE wide');

# statistics of long ago, and more rows without a vector than are kept in memory
$node->safe_psql('postgres', qq{
	CREATE TABLE grown (id int, v vector($dim)) WITH (autovacuum_enabled = off);
	INSERT INTO grown SELECT id, v FROM items;
	INSERT INTO grown SELECT id, NULL FROM items, generate_series(1, 5);});
foreach my $settings ($alone, $team)
{
	# as if VACUUM had seen its pages without rows
	$node->safe_psql('postgres', q{UPDATE pg_class SET reltuples = 0, relpages = 100 WHERE relname = 'grown'});
	cmp_ok(build("$settings; SET maintenance_work_mem = '1MB'", "rows without a vector: $settings", on => 'grown'), '>', 0.98,
		"recall with old statistics: $settings");
	is(vertices(), '8000 48000 0', "vertices and rows, most without a vector: $settings");
	is($node->safe_psql('postgres', q{
			SET enable_seqscan = off;
			SET enable_sort = off;
			SELECT count(*), count(v) FROM (SELECT v FROM grown ORDER BY v <-> (SELECT v FROM items WHERE id = 7)) s}),
		'48000|8000', "all rows are found: $settings");
}

# no rows, and one
$node->safe_psql('postgres', "CREATE TABLE few (v vector($dim))");
build($team, 'no rows', on => 'few');
is(vertices(), '0 0 0', 'no vertices');
$node->safe_psql('postgres', 'INSERT INTO few SELECT v FROM items WHERE id = 1');
build($team, 'one row', on => 'few');
is(vertices() =~ s/ 0$//r, '1 1', 'one vertex');

# a worker that is ended ends the build, and leaves nothing
$node->safe_psql('postgres', 'DROP INDEX built');
my ($out, $err) = ('', '');
my $session = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $team,
		'-c', "CREATE INDEX built ON items USING vecx (v vector_l2_ops) WITH (ef_construction = 2000)" ],
	'<', '/dev/null', '>', \$out, '2>', \$err);
ok($node->poll_query_until('postgres',
	"SELECT coalesce(bool_or(pg_terminate_backend(pid)), false) FROM pg_stat_activity
	 WHERE backend_type = 'parallel worker'"), 'a worker is ended');
$session->finish;
like($err, qr/ERROR|FATAL/, 'CREATE INDEX fails');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relname = 'built'"), '0', 'no index is left');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_ls_tmpdir()}), '0', 'no temporary file is left');
cmp_ok(build($team, 'after all that'), '>', 0.98, 'recall of a build after all that');

$node->stop;

done_testing();
