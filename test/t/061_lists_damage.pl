# Damaged posting lists, and what is behind their rows: vecx_check must name the
# damage, searches, inserts and VACUUM must end but not take the server down, and REINDEX
# must repair.

use strict;
use warnings;

use Test::More;
use VecxDamage;
use VecxTest;

my %kind = (list => 8, behind => 9);

# Where fields are: see src/am/page.h and src/am/list.h.
my %list = (
	head => [ 24, 'L' ], tail => [ 28, 'L' ], retired => [ 40, 'Q' ], nrows => [ 56, 'S' ], flags => [ 58, 'S' ],
	behind => [ 64, 'L' ]);
my %behind = (owner => [ 24, 'L' ], place => [ 28, 'S' ], row => [ 32, 'L' ], bytes => [ 40, 'L' ]);
my $lower_at = 12;

# The n-th page of a kind.
sub page_of
{
	my ($name, $n) = @_;
	my @pages = grep {
		get($_ * $page_size + 14, 'S') != 0
		  && get($_ * $page_size + get($_ * $page_size + 16, 'S') + 4, 'C') == $kind{$name}
	} 0 .. length($file) / $page_size - 1;

	return $pages[$n];
}
sub l { return field(\%list, page_of('list', shift) * $page_size, @_); }
sub b { return field(\%behind, page_of('behind', shift) * $page_size, @_); }

# A row of the first list with a page of the table, not its first, leads far behind the
# table's last.
sub lead_astray
{
	my $first = page_of('list', 0) * $page_size;
	my $page = substr($file, $first, $page_size);

	$page =~ s/\0\0([\x01-\x0f]\0[\x01-\x28]\0)/\x99\x99$1/s or die 'no row';
	substr($file, $first, $page_size) = $page;
	return;
}

my $damaged = qr/is damaged: /;
my @cases = (
	[ 'rows', qr/more rows than room/, sub { l(0, 'nrows', 9999) } ],
	[ 'rows and space', qr/free space is not where it should be/, sub { l(0, 'nrows', l(0, 'nrows') + 32) } ],
	[ 'flags', qr/a header that cannot be/, sub { l(0, 'flags', 0x80) } ],
	[ 'head', $damaged, sub { l(0, 'head', page_of('list', 1)) } ],
	[ 'tail', qr/the tail of a list is not in it/, sub { l(0, 'tail', page_of('list', 2)) } ],
	[ 'retired', $damaged, sub { l(0, 'retired', 5) } ],
	[ 'behind nowhere', qr/leads out of the index/, sub { l(0, 'behind', 1 << 25) } ],
	[ 'nothing behind', qr/leads out of the index/, sub { l(0, 'behind', 0xffffffff) } ],
	[ 'behind of another', qr/lacks what is behind it|is behind none/, sub { l(0, 'behind', l(1, 'behind')) } ],
	[ 'behind itself', qr/lacks what is behind it/, sub { l(0, 'behind', page_of('list', 0)) } ],
	[ 'owner', qr/lacks what is behind it|is behind none/, sub { b(0, 'owner', b(0, 'owner') + 1) } ],
	[ 'owner nowhere', $damaged, sub { b(0, 'owner', 1 << 25) } ],
	[ 'place', $damaged, sub { b(0, 'place', 200) } ],
	[ 'row behind', qr/lacks what is behind it/, sub { b(0, 'row', b(0, 'row') + 1) } ],
	[ 'space behind', qr/lacks what is behind it/, sub { put(page_of('behind', 0) * $page_size + $lower_at, 'S', 32) } ],
	[ 'row of nowhere', $damaged, \&lead_astray ],
	[ 'bytes behind', qr/what is behind a row is not a code/, sub { b(0, 'bytes', 0x7fc00000) } ]);

my $node = new_node('lists');
without_checksums($node);
make_table($node, 'source', rows => 600, dim => 48, clusters => 10);
$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION make_index(t text, options text) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE format('CREATE TABLE %I AS SELECT id, v FROM source', t);
		EXECUTE format('ALTER TABLE %I ALTER v TYPE vector(48)', t);
		EXECUTE format('CREATE INDEX %I ON %I USING vecx (v) WITH (structure = lists, list_rows = 40, %s)', t || '_idx', t, options);
	END $$;} . join('', map { my $i = $_; "SELECT make_index('bits_$i', 'bits = 4'), make_index('copies_$i', 'rerank = half');" } 0 .. $#cases));
my %paths = map { my $i = $_; map { ("${_}_$i" => index_path($node, "${_}_${i}_idx")) } qw(bits copies) } 0 .. $#cases;
$node->stop;
foreach my $i (0 .. $#cases)
{
	damage($paths{"${_}_$i"}, @{ $cases[$i] }[ 0, 2 ]) foreach qw(bits copies);
}
$node->start;

foreach my $i (0 .. $#cases)
{
	my ($name, $message) = @{ $cases[$i] };

	foreach my $table ("bits_$i", "copies_$i")
	{
		like(outcome($node, "SELECT vecx_check('${table}_idx', true)"), qr/^XX002: .*$message/, "$name, $table: found");
		goes_on($node, "${table}_idx", "$name, $table",
			"SELECT count(*) FROM (SELECT 1 FROM $table ORDER BY v <-> (SELECT v FROM source WHERE id = 7) LIMIT 20) s",
			"SELECT count(*) FROM (SELECT 1 FROM $table ORDER BY v <-> (SELECT v FROM source WHERE id = 8)) s",
			"INSERT INTO $table SELECT id, v FROM source WHERE id < 300",
			"DELETE FROM $table WHERE id % 3 = 0; VACUUM $table");
	}
}

# A value out of line that cannot be read is an error for who asks for it, and for nobody else.
make_table($node, 'long', rows => 240, dim => 700, clusters => 6);
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION pg_surgery;
	CREATE TABLE torn (id int, v vector(700));
	ALTER TABLE torn ALTER v SET STORAGE EXTERNAL;
	INSERT INTO torn SELECT id, v FROM long WHERE id <= 120;
	CREATE INDEX torn_v ON torn USING vecx (v) WITH (structure = lists, list_rows = 32)});
my $toast = $node->safe_psql('postgres', q{SELECT reltoastrelid::regclass FROM pg_class WHERE relname = 'torn'});
my $tids = $node->safe_psql('postgres', "SELECT array_agg(ctid) FROM (SELECT ctid FROM $toast WHERE chunk_seq = 0 ORDER BY chunk_id LIMIT 3) s");
$node->safe_psql('postgres', "SELECT heap_force_kill('$toast', '$tids'::tid[])");
like(outcome($node, 'SELECT count(l2_norm(v)) FROM torn'), qr/unexpected chunk number|missing chunk/, 'values are torn');
is(outcome($node, "INSERT INTO torn SELECT id + $_, v FROM long"), '00000 ', "rows come beside torn values, $_") foreach 1000, 2000, 3000;
is(outcome($node, 'DELETE FROM torn WHERE id % 7 = 1 AND id > 1000'), '00000 ', 'rows go');
is(outcome($node, 'VACUUM torn'), '00000 ', 'VACUUM beside torn values');
is(outcome($node, 'ANALYZE torn'), '00000 ', 'ANALYZE beside torn values');
like(outcome($node, "SELECT vecx_check('torn_v')"), qr/^00000/, 'the index is whole');
cmp_ok($node->safe_psql('postgres', q{SELECT lists FROM vecx_info('torn_v')}), '>', 12, 'lists were split');
$node->stop;

done_testing();
