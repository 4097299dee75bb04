# Damaged index files.  Each case has a table and an index of its own, whose file
# is changed while the server is down: vecx_check must raise the error that names
# the damage, searches must return or fail but not take the server down, and
# REINDEX must repair.  States that a crash may leave are no damage.  In the end
# bytes are changed at random; FUZZ_SEED repeats a run.

use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use VecxDamage;
use VecxTest;

my $seed = $ENV{FUZZ_SEED} // 20240815;
srand($seed);
note("FUZZ_SEED=$seed");

my $dim = 48;
my %kind = (meta => 1, model => 2, vertex => 3, upper => 4, rows => 5, side => 6);

# Where fields are: offset and pack letter.  See src/am/page.h.
my %meta = (
	magic => [ 24, 'L' ], version => [ 28, 'L' ], dim => [ 32, 'L' ], value_dim => [ 180, 'L' ], m => [ 40, 'S' ],
	code_offset => [ 66, 'S' ], links_offset => [ 74, 'S' ], link_size => [ 76, 'S' ],
	model_first => [ 120, 'L' ], current_model => [ 152, 'C' ], entry_level => [ 153, 'C' ],
	entry => [ 156, 'L' ], side_head => [ 160, 'L' ], side_tail => [ 164, 'L' ], upper_tail => [ 172, 'L' ],
	centre => [ 176, 'L' ], tune => [ 940, 'L' ], tune_bytes => [ 944, 'L' ], lists_made => [ 952, 'L' ],
	curve_spread => [ 210, 'S' ], curve_near => [ 848, 'L' ]);
my %record = (
	flags => [ 0, 'C' ], level => [ 1, 'C' ], model => [ 2, 'C' ], nrows => [ 3, 'C' ],
	nlinks => [ 4, 'S' ], link_cap => [ 6, 'S' ], generation => [ 8, 'L' ], hash => [ 12, 'L' ],
	down => [ 16, 'L' ], base => [ 20, 'L' ], head => [ 24, 'L' ], tail => [ 28, 'L' ]);
my %segment = (next => [ 0, 'L' ], owner => [ 4, 'L' ], nrows => [ 8, 'S' ], cap => [ 10, 'S' ]);

sub meta_get { return get(@{ $meta{ $_[0] } }); }
sub meta_put { put(@{ $meta{ $_[0] } }, $_[1]); return; }

sub rec { return field(\%record, @_); }
sub seg { return field(\%segment, @_); }

sub pages
{
	my ($name) = @_;

	return grep {
		get($_ * $page_size + 14, 'S') != 0
		  && get($_ * $page_size + get($_ * $page_size + 16, 'S') + 4, 'C') == $kind{$name}
	} 0 .. length($file) / $page_size - 1;
}

sub special { return $_[0] * $page_size + get($_[0] * $page_size + 16, 'S'); }

# Places in the file of all items on pages of a kind.
sub items
{
	my ($name) = @_;
	my @items;

	foreach my $page (pages($name))
	{
		my $start = $page * $page_size;
		my $n = (get($start + 12, 'S') - 24) / 4;

		foreach my $off (1 .. $n)
		{
			my $lp = get($start + 24 + 4 * ($off - 1), 'L');
			push @items, $start + ($lp & 0x7fff) if (($lp >> 15) & 3) == 1;
		}
	}
	return @items;
}

# An item's id, and the place of an id.
sub id_of
{
	my ($at) = @_;
	my $page = int($at / $page_size);
	my $start = $page * $page_size;

	foreach my $off (1 .. (get($start + 12, 'S') - 24) / 4)
	{
		return $page << 6 | $off
		  if $start + (get($start + 24 + 4 * ($off - 1), 'L') & 0x7fff) == $at;
	}
	die "no item at $at";
}

sub link_at { return $_[0] + meta_get('links_offset') + $_[1] * meta_get('link_size'); }
sub code_at { return $_[0] + meta_get('code_offset'); }
sub row_at { return $_[0] + 32 + 8 * $_[1]; }

# A vertex with links and rows of its own, the same every time; not one that has
# records above.
sub vertex
{
	my %above = map { rec($_, 'base') => 1 } items('upper');
	my @found = grep { rec($_, 'nlinks') > 3 && rec($_, 'nrows') == 1 && !$above{ id_of($_) } } items('vertex');

	return $found[ $_[0] // 0 ];
}
sub upper { return (grep { rec($_, 'nlinks') > 1 } items('upper'))[0]; }
sub chained { return (grep { rec($_, 'head') != 0 && rec($_, 'head') != rec($_, 'tail') } items('vertex'))[0]; }

# The place of the segment that a chained vertex begins with.
sub first_segment
{
	my $head = rec(chained(), 'head');

	return (grep { id_of($_) == $head } items('rows'))[0];
}

my $damaged = qr/is damaged: /;
my @cases = (
	[ 'magic number', qr/wrong magic number/, sub { meta_put('magic', 1) } ],
	[ 'other format', qr/has format 99/, sub { meta_put('version', 99) }, '0A000' ],
	[ 'dimensions', $damaged, sub { meta_put('dim', $dim - 1) } ],
	[ 'dimensions of the column', qr/has other dimensions/, sub { meta_put('value_dim', $dim + 1) } ],
	[ 'layout', qr/layout in the metapage/, sub { meta_put('links_offset', 9000) } ],
	[ 'no entry', qr/searches start below a record/, sub { meta_put('entry', 0) } ],
	[ 'entry nowhere', qr/searches start at no record/, sub { meta_put('entry', meta_get('entry') | 63) } ],
	[ 'entry level', qr/searches start at a record of another level/, sub { meta_put('entry_level', 9) } ],
	[ 'entry too low', qr/searches start below a record/, sub { meta_put('entry', id_of(vertex())); meta_put('entry_level', 0) } ],
	[ 'current model', qr/current model does not exist/, sub { meta_put('current_model', 7) } ],
	[ 'model elsewhere', $damaged, sub { meta_put('model_first', (pages('vertex'))[0]) } ],
	[ 'model bytes', $damaged, sub { my $at = (pages('model'))[0] * $page_size + 2000; put($at, 'C', get($at, 'C') ^ 4) } ],
	[ 'centre of codes without', qr/the centre of the codes (cannot be there|is not finite)/, sub { meta_put('centre', 1) } ],
	[ 'centre elsewhere', $damaged, sub { meta_put('centre', (pages('vertex'))[0]) } ],
	[ 'tuned without lists', qr/the metapage names what cannot have been tuned/, sub {
		# as if books followed the head
		my $at = length $file;
		$file .= substr($file, (pages('model'))[0] * $page_size, $page_size);
		put($at + 24 + 12, 'L', 0);
		meta_put('tune', $at / $page_size);
		meta_put('tune_bytes', 760);
	} ],
	[ 'lists of a graph', qr/the metapage counts lists of a graph/, sub { meta_put('lists_made', 1) } ],
	[ 'curve: spread', qr/the curve of recall has values out of range/, sub { meta_put('curve_spread', 255) } ],
	[ 'curve: nearest not a number', qr/the curve of recall has values out of range/, sub { meta_put('curve_near', 0x7fc00000) } ],
	[ 'curve: nearest not in order', qr/the curve of recall has values out of range/, sub { meta_put('curve_near', 0x7f000000) } ],
	[ 'tail of upper pages', qr/page for new items does not exist/, sub { meta_put('upper_tail', 1000000) } ],

	[ 'link beyond the file', qr/a link leads out of the index/, sub { put(link_at(vertex(), 1), 'L', 0x3fffff41) } ],
	[ 'link to nothing', qr/a link leads to no record/, sub { put(link_at(vertex(), 1), 'L', id_of(vertex()) | 63) } ],
	[ 'link to itself', qr/a record links to itself/, sub { put(link_at(vertex(), 1), 'L', id_of(vertex())) } ],
	[ 'link twice', qr/a record has a link twice/, sub { put(link_at(vertex(), 1), 'L', get(link_at(vertex(), 0), 'L')) } ],
	[ 'link upwards', qr/a link leads to another level/, sub { put(link_at(vertex(), 1), 'L', id_of(upper())) } ],
	[ 'link of another', qr/a sketch is not that of its neighbour/, sub {
		my %linked = map { get(link_at(vertex(), $_), 'L') => 1 } 0 .. rec(vertex(), 'nlinks') - 1;
		my ($other) = grep { !$linked{$_} && $_ != id_of(vertex()) } map { id_of($_) } items('vertex');
		put(link_at(vertex(), 1), 'L', $other) } ],
	[ 'sketch addend', qr/a sketch is not that of its neighbour/, sub { my $at = link_at(vertex(), 2) + 5; put($at, 'C', get($at, 'C') ^ 0x10) } ],
	[ 'sketch factor', qr/a sketch is not that of its neighbour/, sub { my $at = link_at(vertex(), 2) + 7; put($at, 'C', get($at, 'C') ^ 0x04) } ],
	[ 'sketch bits', qr/a sketch is not that of its neighbour/, sub { my $at = link_at(vertex(), 2) + 8; put($at, 'L', get($at, 'L') ^ 0xffffffff) } ],
	[ 'sketch above', qr/a sketch is not that of its neighbour/, sub { my $at = link_at(upper(), 1) + 8; put($at, 'L', get($at, 'L') ^ 0xffffffff) } ],

	[ 'links to stay', qr/a record is to keep links that it does not have/, sub { rec(vertex(), 'down', 0x80000000) } ],
	[ 'number of links', qr/a record has more links than room/, sub { rec(vertex(), 'nlinks', rec(vertex(), 'link_cap') + 1) } ],
	[ 'many links', qr/a record has more links than room/, sub { rec(vertex(), 'nlinks', 65535) } ],
	[ 'room for links', $damaged, sub { rec(vertex(), 'link_cap', rec(vertex(), 'link_cap') ^ 1) } ],
	[ 'level of a vertex', $damaged, sub { rec(vertex(), 'level', 1) } ],
	[ 'level too high', qr/a record is of a level that does not exist/, sub { rec(upper(), 'level', 200) } ],
	[ 'flags', qr/a record has flags that do not exist/, sub { rec(vertex(), 'flags', 0x40) } ],
	[ 'cell', qr/a vertex is in a cell that does not exist/, sub { rec(vertex(), 'base', 1) } ],
	[ 'dead with rows', qr/a record has rows that should have none/, sub { rec(vertex(), 'flags', 1) } ],
	[ 'model of a record', qr/a record names a model that does not exist/, sub { rec(vertex(), 'model', 9) } ],
	[ 'generation', qr/another vector than its vertex/, sub { rec(upper(), 'generation', rec(upper(), 'generation') ^ 1) } ],
	[ 'way down', qr/the way down from a record is broken/, sub { rec(upper(), 'down', id_of(vertex())) } ],
	[ 'no vertex', qr/a record above the base belongs to no vertex/, sub { rec(upper(), 'base', id_of(upper())) } ],
	[ 'code', $damaged, sub { my $at = code_at(vertex()) + 30; put($at, 'C', get($at, 'C') ^ 1) } ],
	[ 'code scale', $damaged, sub { put(code_at(vertex()), 'L', 0x7fc00000) } ],
	[ 'code of another', qr/a sketch is not that of its neighbour/, sub {
		substr($file, code_at(vertex()), $dim + 20) = substr($file, code_at(vertex(50)), $dim + 20) } ],

	[ 'number of rows', qr/a record has more rows than room/, sub { rec(vertex(), 'nrows', 3) } ],
	[ 'no rows', qr/a vertex has no rows/, sub { rec(vertex(), 'nrows', 0) } ],
	[ 'row twice', qr/a row is in it twice/, sub { substr($file, row_at(vertex(), 0), 6) = substr($file, row_at(vertex(1), 0), 6) },
		undef, 'structure' ],
	[ 'row beyond the table', qr/a row lies beyond the table/, sub { put(row_at(vertex(), 0), 'S', 77) } ],
	[ 'row flags', qr/a row has flags that do not exist/, sub { put(row_at(vertex(), 0) + 6, 'S', 1) } ],
	[ 'row of nobody', qr/a row of table "\w+" is not in it/, sub { put(row_at(vertex(), 0) + 4, 'S', 290) } ],
	[ 'hash', qr/a vertex has the hash of another vector than its row/, sub { rec(vertex(), 'hash', rec(vertex(), 'hash') ^ 1) } ],
	[ 'segment owner', qr/a segment of rows is another vertex's/, sub { seg(first_segment(), 'owner', id_of(vertex())) } ],
	[ 'segment circle', qr/a segment of rows is in a chain twice/, sub { seg(first_segment(), 'next', id_of(first_segment())) } ],
	[ 'segment lost', qr/a chain of rows leads to no segment/, sub { seg(first_segment(), 'next', id_of(vertex())) } ],
	[ 'segment rows', $damaged, sub { seg(first_segment(), 'nrows', 60000) } ],
	[ 'chain tail', qr/the tail of a chain of rows is not in the chain/, sub { rec(chained(), 'tail', id_of(vertex())) } ],
	[ 'chain without tail', qr/a chain of rows has only one end/, sub { rec(chained(), 'tail', 0) } ],
	[ 'side flags', qr/a row has flags that do not exist/, sub { put((pages('side'))[0] * $page_size + 24 + 6, 'S', 7) } ],
	[ 'side circle', qr/the chain of rows without a distance is broken/, sub { put(special((pages('side'))[0]), 'L', (pages('side'))[0]) } ],
	[ 'side tail', qr/the tail of the chain of rows without a distance/, sub { meta_put('side_tail', (pages('vertex'))[0]) } ],

	[ 'page kind', $damaged, sub { put(special((pages('vertex'))[3]) + 4, 'C', $kind{model}) } ],
	[ 'page kind unknown', qr/a page is of a kind that should not be there/, sub { put(special((pages('side'))[0]) + 4, 'C', 77) } ],
	[ 'page format', qr/has pages of format 9/, sub { put(special((pages('vertex'))[3]) + 5, 'C', 9) }, '0A000' ],
	[ 'page id', qr/a page is not of this access method/, sub { put(special((pages('vertex'))[3]) + 6, 'S', 0) } ],
	[ 'page zeroed', $damaged, sub { substr($file, (pages('vertex'))[3] * $page_size, $page_size) = "\0" x $page_size } ],
	[ 'metapage zeroed', qr/a page is all zeros/, sub { substr($file, 0, $page_size) = "\0" x $page_size } ],
	[ 'line pointer', $damaged, sub { my $at = (pages('vertex'))[3] * $page_size + 24; put($at, 'L', get($at, 'L') + 8) } ],
	[ 'line pointer outside', $damaged, sub { put((pages('vertex'))[3] * $page_size + 24, 'L', 8180 | 1 << 15 | 200 << 17) } ],
	[ 'overlap', $damaged, sub {
		my $at = (pages('vertex'))[3] * $page_size + 24; put($at, 'L', get($at + 4, 'L')) } ],
	[ 'page header', qr/invalid page/, sub { put((pages('vertex'))[3] * $page_size + 12, 'S', 9999) }, 'XX001' ],
	[ 'file cut', $damaged, sub { $file = substr($file, 0, 5 * $page_size) } ],
	[ 'file empty', qr/a page is missing/, sub { $file = '' } ],

	# no damage
	[ 'page of zeros at the end', undef, sub { $file .= "\0" x $page_size } ],
	[ 'tail left behind', undef, sub { rec(chained(), 'tail', rec(chained(), 'head')) } ],
	[ 'entry pages unknown', undef, sub { meta_put('upper_tail', 0xffffffff) } ],
	[ 'segment that nothing leads to', undef, sub {
		# the rows of the chain go with it, as those of an aborted insert
		my $at = chained(); rec($at, 'head', 0); rec($at, 'tail', 0) }, undef, 'structure' ],
	[ 'vertex dying', undef, sub { my $at = vertex(); rec($at, 'nrows', 0); rec($at, 'flags', 1) }, undef, 'structure' ]);

my $fuzzed = 40;
my @tables = ((map { "damage_$_" } 0 .. $#cases), (map { "fuzz_$_" } 1 .. $fuzzed));

my $node = new_node('damage');
without_checksums($node);
make_table($node, 'items', rows => 220, dim => $dim, clusters => 10);
$node->safe_psql(
	'postgres', qq{
	INSERT INTO items SELECT 1000 + i, v, 0 FROM items, generate_series(1, 20) i WHERE id = 7;
	INSERT INTO items SELECT 2000 + i, NULL, 0 FROM generate_series(1, 20) i;
	CREATE FUNCTION make_index(t text) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		EXECUTE format('CREATE TABLE %I AS SELECT * FROM items', t);
		EXECUTE format('ALTER TABLE %I ALTER v TYPE vector($dim)', t);
		EXECUTE format('CREATE INDEX %I ON %I USING vecx (v vector_l2_ops) WITH (m = 6, quantizer = sq8)', t || '_idx', t);
	END \$\$;
	SELECT make_index(t) FROM unnest(ARRAY['} . join("','", @tables) . q{']) t});
my %path = map { $_ => index_path($node, "${_}_idx") } @tables;
$node->stop;

damage($path{ $tables[$_] }, @{ $cases[$_] }[ 0, 2 ]) foreach 0 .. $#cases;
foreach my $i (1 .. $fuzzed)
{
	load($path{"fuzz_$i"});
	for (1 .. 1 + int(rand($i)))
	{
		# half of them near the beginning of a record, where it hurts
		my @places = items(rand() < 0.7 ? 'vertex' : 'upper');
		my $at = rand() < 0.5 ? int(rand(length $file)) : $places[ rand @places ] + int(rand(120));

		put($at, 'C', int(rand(256)));
	}
	store($path{"fuzz_$i"});
}
$node->start;
my $started = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');

my $search = 'SELECT count(*) FROM (SELECT 1 FROM %s ORDER BY v <-> (SELECT v FROM items WHERE id = 3) LIMIT 100) s';

foreach my $i (0 .. $#cases)
{
	my ($name, $message, undef, $state, $part) = @{ $cases[$i] };
	my $index = "$tables[$i]_idx";
	my $whole = $part ? 'false' : 'true';
	my $check = outcome($node, "SELECT vecx_check('$index', $whole)");

	if (defined $message)
	{
		my $expected = $state // 'XX002';
		like($check, qr/^$expected: .*$message/, "$name: found");
		like($check, qr/Block=\d|tid=/, "$name: its place is told") if !$state;
	}
	else
	{
		like($check, qr/^00000/, "$name: no damage");
	}
	like(outcome($node, sprintf $search, $tables[$i]), qr/^(00000|XX00[12]|0A000)/, "$name: a search ends");
	like(outcome($node, "SELECT vecx_info('$index')"), qr/^(00000|XX00[12]|0A000)/, "$name: vecx_info ends");
	$node->safe_psql('postgres', "REINDEX INDEX $index");
	like(outcome($node, "SELECT vecx_check('$index', true)"), qr/^00000/, "$name: REINDEX repairs");
}

foreach my $i (1 .. $fuzzed)
{
	my $table = "fuzz_$i";

	foreach my $sql (
		"SELECT vecx_check('${table}_idx', true)",
		"SELECT vecx_info('${table}_idx')",
		sprintf($search, $table),
		"SELECT count(*) FROM (SELECT 1 FROM $table ORDER BY v <-> (SELECT v FROM items WHERE id = 9)) s")
	{
		my $outcome = outcome($node, $sql);

		like($outcome, qr/^(00000|XX00[12]|0A000)/, "fuzz $i: ends") or diag($sql);
	}
	$node->safe_psql('postgres', "REINDEX INDEX ${table}_idx");
	like(outcome($node, "SELECT vecx_check('${table}_idx', true)"), qr/^00000/, "fuzz $i: REINDEX repairs");
}

is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $started, 'the server was not restarted');
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal|TRAP:|crash of another server process/,
	'the log knows of no crash');

done_testing();
