# Many sessions insert, update, delete and search while others vacuum and
# reindex: none of them fails, and in the end the index is whole and returns
# every row once.

use strict;
use warnings;

use IPC::Run;
use VecxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $dim = 32;
my $node = new_node('main', shared_buffers => '64MB', max_connections => 30, fsync => 'off');

make_table($node, 'source', rows => 4000, dim => $dim, clusters => 40, spread => 1.5);
make_table($node, 'queries', rows => 50, dim => $dim, clusters => 40, spread => 1.5, seed => 2);
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE items (id bigint PRIMARY KEY, v vector($dim), tag int) WITH (fillfactor = 80);
	CREATE INDEX items_v_idx ON items USING vecx (v vector_cosine_ops);
	CREATE SEQUENCE ids;
	CREATE INDEX ON source (id);
	ALTER DATABASE postgres SET enable_seqscan = off;
	ALTER DATABASE postgres SET enable_sort = off;
});

# One in five rows is a copy of another, some have no vector or the zero one.
my $vector = qq{(SELECT CASE WHEN :n % 50 = 0 THEN NULL WHEN :n % 50 = 1 THEN array_fill(0, ARRAY[$dim])::vector
	WHEN :n % 5 = 0 THEN v ELSE v + array_fill((random() / 10)::real, ARRAY[$dim])::vector END
	FROM source WHERE id = :n % 4000 + 1)};
my $random = "\\set n random(1, 100000)\n\\set id random(1, 4000)\n";
my %scripts = (
	insert => [ 40, "${random}INSERT INTO items VALUES (nextval('ids'), $vector, :n);" ],
	several => [ 4, "${random}INSERT INTO items SELECT nextval('ids'), v, 1 FROM source WHERE id BETWEEN :id AND :id + 10;" ],
	rollback => [ 5, "${random}BEGIN;\nINSERT INTO items VALUES (nextval('ids'), $vector, :n);\nROLLBACK;" ],
	move => [ 15, "${random}UPDATE items SET v = $vector WHERE id = :id;" ],
	retag => [ 10, "${random}UPDATE items SET tag = :n WHERE id = :id;" ],
	delete => [ 15, "${random}DELETE FROM items WHERE id = :id;" ],
	search => [
		30, "${random}SELECT id FROM items ORDER BY v <=> (SELECT v FROM queries WHERE id = :n % 50 + 1) LIMIT 10;"
	],
	whole => [
		1, "${random}SELECT 1 / (count(*) = count(DISTINCT id))::int FROM (SELECT id FROM items ORDER BY v <=> (SELECT v FROM queries WHERE id = :n % 50 + 1) OFFSET 0) s;"
	],
	# What one snapshot sees by index must be what it sees in the table.
	snapshot => [
		1, "${random}BEGIN ISOLATION LEVEL REPEATABLE READ;\n"
		  . "SELECT 1 / ((SELECT count(*) FROM (SELECT id FROM items ORDER BY v <=> (SELECT v FROM queries WHERE id = :n % 50 + 1) OFFSET 0) s)"
		  . " = (SELECT count(*) FROM items WHERE id IS NOT NULL))::int;\nCOMMIT;"
	]);

sub script_options
{
	my (@names) = @_;
	my @options;

	foreach my $name (@names)
	{
		my ($weight, $text) = @{ $scripts{$name} };
		my $file = $node->basedir . "/$name.sql";

		append_to_file($file, "$text\n") unless -e $file;
		push @options, '-f', "$file\@$weight";
	}
	return @options;
}

sub whole
{
	my ($name) = @_;

	check_index($node, 'items_v_idx', $name);
	is( $node->safe_psql('postgres', q{
			SELECT count(*), count(DISTINCT id), sum(id)
			FROM (SELECT id FROM items ORDER BY v <=> (SELECT v FROM queries WHERE id = 1) OFFSET 0) s}),
		$node->safe_psql('postgres', 'SELECT count(*), count(*), sum(id) FROM items'),
		"every row once: $name");
	is( $node->safe_psql('postgres', q{
			SELECT count(*) FROM items i WHERE tag <> (SELECT n.tag FROM items n WHERE n.id = i.id)}),
		0, "no row is mixed up with another: $name");
	return;
}

# Many at once begin with an empty index, so that all are the first.
$node->command_ok([ 'pgbench', '-n', '-c', 8, '-j', 2, '-t', 50, script_options('insert', 'several'), 'postgres' ],
	'first inserts, at once');
whole('first inserts');

# Everything, with VACUUM all the time.
my $vacuums = 0;
my $log = '';
my $handle = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 5, '-j', 2, '-t', 500, script_options(sort keys %scripts), $node->connstr('postgres') ],
	'<', '/dev/null', '>&', \$log);
while ($handle->pumpable)
{
	my ($status, undef, $err) = $node->psql('postgres', 'VACUUM items');
	$vacuums++;
	is($err, '', 'VACUUM works') if $status;
	$handle->pump_nb;
	$node->psql('postgres', 'REINDEX INDEX CONCURRENTLY items_v_idx') if $vacuums % 15 == 0;
}
ok($handle->finish, "all sessions work, with $vacuums times VACUUM") or diag($log);
whole('after everything');
cmp_ok(
	recall($node, table => 'items', op => '<=>', queries => 'SELECT v FROM queries', where => 'v IS NOT NULL'),
	'>', 0.9, 'recall after everything');
$node->safe_psql('postgres', 'VACUUM items');
whole('after another VACUUM');
unlike(slurp_file($node->logfile), qr/ERROR|PANIC|TRAP|terminated by signal/, 'the log knows of no error');
$node->stop;

done_testing();
