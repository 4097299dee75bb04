# The value tree of filter columns: damage that vecx_check has to find, states
# that a crash may leave, and servers killed while sessions split its pages, with
# a standby that compares every page.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecxCrash;
use VecxDamage;
use VecxTest;

my $tree = 7;

# Where fields are: see src/am/page.h and src/am/vtree.h.
my $root_at = 24 + 888;
my %head = (value => [ 0, 'Q' ], level => [ 16, 'S' ], count => [ 18, 'S' ], size => [ 20, 'S' ], zero => [ 22, 'S' ]);
my %entry = (value => [ 0, 'Q' ], id => [ 8, 'L' ], column => [ 12, 'S' ], place => [ 14, 'S' ], child => [ 16, 'L' ]);

# A page's head and its entry number i, and fields of them.
sub head { return $_[0] * $page_size + 24; }

# Bytes of a slot's number in the directory, its letter, and its place.
sub slot_bytes { return int((8160 - 24) / (field(\%head, head($_[0]), 'size') + 1)) > 255 ? 2 : 1; }
sub slot_letter { return slot_bytes($_[0]) == 2 ? 'S' : 'C'; }
sub slot_at { return head($_[0]) + 24 + $_[1] * slot_bytes($_[0]); }

sub entry
{
	my ($page, $i) = @_;
	my $slot = get(slot_at($page, $i), slot_letter($page));

	return ($page + 1) * $page_size - 8 - ($slot + 1) * field(\%head, head($page), 'size');
}

sub h { return field(\%head, head(shift), @_); }
sub e { return field(\%entry, entry(shift, shift), @_); }

sub root { return get($root_at, 'L'); }

# The leaf that the root's entry number i leads to.
sub leaf { return e(root(), $_[0], 'child'); }
sub next_at { return ($_[0] + 1) * $page_size - 8; }

# Takes the root's last entry away.
sub forget_last
{
	my $root = root();

	h($root, 'count', h($root, 'count') - 1);
	put($root * $page_size + 12, 'S', get($root * $page_size + 12, 'S') - slot_bytes($root));
	put($root * $page_size + 14, 'S', get($root * $page_size + 14, 'S') + h($root, 'size'));
	return;
}

# Of a root that was filled in order the last entry lies in the last slot.
my @cases = (
	[ 'root elsewhere', qr/a page is of another kind/, sub { put($root_at, 'L', 1) } ],
	[ 'no root', qr/the metapage has no value tree/, sub { put($root_at, 'L', 0xffffffff) } ],
	[ 'sketches', qr/the metapage has no sketches of this size/, sub { put($root_at + 6, 'S', 13) } ],
	[ 'level', qr/a page of the value tree is not of its level/, sub { h(leaf(1), 'level', 1) } ],
	[ 'entry size', qr/a page of the value tree is not of its level/, sub { h(leaf(1), 'size', 20) } ],
	[ 'zero', qr/a page of the value tree has bytes that should be zero/, sub { h(leaf(1), 'zero', 1) } ],
	[ 'count', qr/a page of the value tree has a wrong number of entries/, sub { h(leaf(1), 'count', h(leaf(1), 'count') - 1) } ],
	[ 'many', qr/a page of the value tree has a wrong number of entries/, sub { h(leaf(1), 'count', 999) } ],
	[ 'slot', qr/a page of the value tree has an entry outside its slots/, sub { put(slot_at(leaf(1), 0), slot_letter(leaf(1)), 250) } ],
	[ 'slot twice', qr/two entries of the value tree share a slot/, sub { put(slot_at(leaf(1), 0), slot_letter(leaf(1)), get(slot_at(leaf(1), 1), slot_letter(leaf(1)))) } ],
	[ 'order', qr/entries of the value tree are not in order/, sub { e(leaf(1), 3, 'value', 0) } ],
	[ 'high key', qr/beyond its page's high key/, sub { h(leaf(1), 'value', e(leaf(1), 3, 'value')) } ],
	[ 'next', qr/leads out of the index/, sub { put(next_at(leaf(1)), 'L', 1 << 25) } ],
	[ 'circle', qr/is met twice|not in order|begins at another key/, sub { put(next_at(leaf(1)), 'L', leaf(1)) } ],
	[ 'chain cut', qr/leads to none of the level below/, sub { put(next_at(leaf(1)), 'L', 0xffffffff) } ],
	[ 'downlink', qr/begins at another key|leads to none of the level below/, sub { e(root(), 2, 'child', leaf(1)) } ],
	[ 'downlink key', qr/begins at another key/, sub { e(root(), 2, 'value', e(root(), 2, 'value') - 1) } ],
	[ 'first key', qr/does not reach down to its first key/, sub { e(root(), 0, 'id', 5) } ],
	[ 'column', qr/an entry of the value tree is of no filter column|not in order|beyond/, sub { my $l = leaf(h(root(), 'count') - 1); e($l, h($l, 'count') - 1, 'column', 9) } ],
	[ 'no vertex', qr/names no vertex/, sub { e(leaf(1), 3, 'id', e(leaf(1), 3, 'id') | 63) } ],
	[ 'vertex of another', qr/is not that of its vertex|is not in the value tree|not in order/, sub { e(leaf(1), 0, 'id', e(leaf(2), 0, 'id')) } ],
	[ 'sketch', qr/a sketch in the value tree is not that of its vertex/, sub { my $at = entry(leaf(1), 3) + 40; put($at, 'L', get($at, 'L') ^ 0xffffffff) } ],
	[ 'value lost', qr/a row's value is not in the value tree/, sub { e(leaf(1), 3, 'value', e(leaf(1), 3, 'value') + 1) } ],
	[ 'cell', qr/not at its vertex's cell/, sub { e(leaf(1), 3, 'place', e(leaf(1), 3, 'place') ^ 1) } ],
	[ 'no cells', qr/the value tree cannot have cells/, sub { put($root_at + 52, 'L', 0xffffffff) } ],
	[ 'fewer cells', qr/cells are not as long as they should be/, sub { put($root_at - 758, 'S', get($root_at - 758, 'S') - 1) } ],

	# no damage
	[ 'page unknown above', undef, \&forget_last ],

	# posting lists
	map { [ @$_, 'WITH (structure = lists)' ] } (
		[ 'lists: sketches', qr/the metapage has no sketches of this size/, sub { put($root_at + 6, 'S', 13) } ],
		[ 'lists: block', qr/names a row beyond the table|not in order|beyond/, sub { e(leaf(1), 3, 'id', 4000 << 16 | 1) } ],
		[ 'lists: high block', qr/names a row beyond the table/, sub { e(leaf(1), 3, 'place', 3000) } ],
		[ 'lists: offset', qr/names a row beyond the table/, sub { e(leaf(1), 3, 'id', e(leaf(1), 3, 'id') & ~0xffff | 3000) } ],
		[ 'lists: cells', qr/the value tree cannot have cells/, sub { put($root_at + 52, 'L', 1) } ],
		[ 'lists: order', qr/entries of the value tree are not in order/, sub { e(leaf(1), 3, 'value', 0) } ],
		[ 'lists: slot', qr/a page of the value tree has an entry outside its slots/, sub { put(slot_at(leaf(1), 0), slot_letter(leaf(1)), 600) } ],
		[ 'lists: other row', qr/a row's value is not in the value tree|not in order/, sub { e(leaf(1), 3, 'id', e(leaf(1), 3, 'id') + 1) } ],
		[ 'lists: page unknown above', undef, \&forget_last ]));

my $node = new_node('tree', allows_streaming => 1, wal_keep_size => '1GB');
without_checksums($node);
make_table($node, 'source', rows => 3400, dim => 24, clusters => 10);
$node->safe_psql(
	'postgres', q{
	CREATE TABLE items AS SELECT v, id * 1000 AS n FROM source WHERE id < 3300;
	ALTER TABLE items ALTER v TYPE vector(24);
	CREATE FUNCTION make_index(t text, options text) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE format('CREATE TABLE %I AS SELECT * FROM items', t);
		EXECUTE format('ALTER TABLE %I ALTER v TYPE vector(24)', t);
		EXECUTE format('CREATE INDEX %I ON %I USING vecx (v, n) %s', t || '_idx', t, options);
	END $$;} . join('', map { "SELECT make_index('damage_$_', '" . ($cases[$_][3] // '') . "');" } 0 .. $#cases));
my @paths = map { index_path($node, "damage_${_}_idx") } 0 .. $#cases;
$node->stop;
damage($paths[$_], @{ $cases[$_] }[ 0, 2 ]) foreach 0 .. $#cases;
$node->start;

foreach my $i (0 .. $#cases)
{
	my ($name, $message) = @{ $cases[$i] };
	my $table = "damage_$i";
	my $check = outcome($node, "SELECT vecx_check('${table}_idx', true)");

	like($check, defined $message ? qr/^XX002: .*$message/ : qr/^00000/, "$name: " . (defined $message ? 'found' : 'no damage'));
	goes_on($node, "${table}_idx", $name,
		"SELECT count(*) FROM (SELECT 1 FROM $table WHERE n BETWEEN 100000 AND 300000 ORDER BY v <-> (SELECT v FROM items LIMIT 1) LIMIT 10) s",
		"INSERT INTO $table SELECT v, n + 1 FROM items WHERE n BETWEEN 100000 AND 300000",
		"DELETE FROM $table WHERE n % 3000 = 0; VACUUM $table");
}

# Sessions that split pages, by values that come in order and by ones that do not,
# until the server is killed.
$node->safe_psql(
	'postgres', q{
	CREATE SEQUENCE ids;
	CREATE TABLE rows (id bigint, v vector(24), n int, name text, tags int[]);
	CREATE TABLE listed (LIKE rows);
	CREATE INDEX listed_idx ON listed USING vecx (v, n, id, name, tags) WITH (structure = lists, list_rows = 32);
	CREATE FUNCTION some_rows(n int) RETURNS SETOF rows LANGUAGE sql AS
		'SELECT nextval(''ids''), v, (random() * 100000)::int, md5((random() * 100)::int::text),
			ARRAY[id % 7, (random() * 1000)::int] FROM source ORDER BY random() LIMIT n';
	-- enough for cells, and for values whose leaves are put in order
	INSERT INTO rows SELECT r.* FROM generate_series(1, 3) i, LATERAL some_rows(3000 + 0 * i) r;
	CREATE INDEX rows_idx ON rows USING vecx (v, n, id, name, tags)});
my $standby = new_standby($node, 'standby');
my $insert = join '', map { "INSERT INTO $_ SELECT * FROM some_rows(20);\n" } qw(rows listed);
my $vacuum = join '', map { "DELETE FROM $_ WHERE n % 10 = 3; VACUUM $_; UPDATE $_ SET n = n + 1 WHERE n % 50 = 4;\n" } qw(rows listed);
my $counts = q{
	SET enable_seqscan = off;
	SELECT a, (SELECT count(*) FROM (SELECT 1 FROM rows WHERE n BETWEEN a * 10000 AND a * 10000 + 3000
		ORDER BY v <-> (SELECT v FROM source WHERE id = 1)) s) FROM generate_series(0, 9) a ORDER BY 1};
my $ors = q{
	SET enable_seqscan = off;
	SELECT a, (SELECT count(*) FROM (SELECT 1 FROM rows WHERE n BETWEEN low AND low + 1000 OR name = m OR tags && t
		ORDER BY v <-> (SELECT v FROM source WHERE id = 1)) s)
	FROM (SELECT a, a * 10000 AS low, md5(a::text) AS m, ARRAY[a + 100] AS t FROM generate_series(0, 9) a) x ORDER BY 1};

my $values = q{
	SET enable_seqscan = off;
	SELECT a, (SELECT count(*) FROM (SELECT 1 FROM rows WHERE tags && ARRAY[a] ORDER BY v <-> (SELECT v FROM source WHERE id = 1)) s)
	FROM generate_series(0, 6) a ORDER BY 1};

foreach my $round (1 .. 3)
{
	crash_while($node, 700 + 100 * $round, $insert, $insert, $vacuum);
	check_index($node, "${_}_idx", "$_, after crash $round") foreach qw(rows listed);
	foreach my $sql (map { ($_, s/FROM rows/FROM listed/r) } $counts, $ors, $values)
	{
		is($node->safe_psql('postgres', $sql), $node->safe_psql('postgres', $sql =~ s/enable_seqscan = off/enable_indexscan = off/r),
			"crash $round: the index returns every row that matches");
		$node->wait_for_catchup($standby);
		same_answers($node, $standby, $sql, "crash $round: the standby answers alike");
	}
}
cmp_ok($node->safe_psql('postgres', q{SELECT lists FROM vecx_info('listed_idx')}), '>', 10, 'lists were split');
$node->stop('immediate');
$standby->promote;
foreach my $table (qw(rows listed))
{
	check_index($standby, "${table}_idx", "$table, on the promoted standby");
	$standby->safe_psql('postgres', "INSERT INTO $table SELECT * FROM some_rows(500)");
	check_index($standby, "${table}_idx", "$table, changed on the promoted standby");
}

# Built by several processes, and with little memory.
my $workers = 'ALTER TABLE rows SET (parallel_workers = 2); SET max_parallel_maintenance_workers = 2;';
$standby->safe_psql('postgres', "$workers REINDEX INDEX rows_idx");
check_index($standby, 'rows_idx', 'built with workers');
my ($status, undef, $err) = $standby->psql('postgres', "SET maintenance_work_mem = '1MB'; REINDEX INDEX rows_idx");
is($err, '', 'a build in files leaves none behind');
check_index($standby, 'rows_idx', 'built in files');
$standby->safe_psql('postgres', "SET maintenance_work_mem = '1MB'; REINDEX INDEX listed_idx");
check_index($standby, 'listed_idx', 'lists built in files');
unlike(slurp_file($standby->logfile), qr/PANIC|inconsistent page|invalid page/, "the standby's pages are the primary's");
$standby->stop;

done_testing();
