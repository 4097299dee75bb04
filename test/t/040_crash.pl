# The server is killed several times while sessions insert, delete and vacuum.
# After each restart the index is whole and nothing committed is lost; a standby
# compares every page, answers alike, and can be promoted.

use strict;
use warnings;

use IPC::Run;
use VecxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $dim = 32;
my $crashes = 4;
my $node = new_node('primary', allows_streaming => 1, shared_buffers => '64MB', max_wal_size => '256MB', wal_keep_size => '1GB');

make_table($node, 'source', rows => 3000, dim => $dim, clusters => 40, spread => 1.5);
make_table($node, 'queries', rows => 20, dim => $dim, clusters => 40, spread => 1.5, seed => 2);
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE items (id bigint, v vector($dim));
	CREATE SEQUENCE ids;
	CREATE INDEX items_v_idx ON items USING vecx (v vector_l2_ops);
	CREATE UNLOGGED TABLE volatile (id bigint, v vector($dim));
	CREATE INDEX volatile_v_idx ON volatile USING vecx (v vector_l2_ops);
	INSERT INTO volatile SELECT id, v FROM source;
	CREATE FUNCTION some_vector(n int) RETURNS vector LANGUAGE sql AS
		'SELECT CASE WHEN n % 20 = 0 THEN NULL WHEN n % 5 = 0 THEN v ELSE v * array_fill(1 + n * 1e-7::real, ARRAY[$dim])::vector END
		FROM source WHERE id = n % 3000 + 1';
	CREATE INDEX ON source (id);
});
my $standby = new_standby($node, 'standby');

# A session that inserts and tells which ids it committed, and by now and then
# deletes rows, until the server goes away.
my $writer = <<'END';
SELECT nextval('ids') AS id \gset
INSERT INTO items VALUES (:id, some_vector((:id * 7919 % 100000)::int));
\echo :id
INSERT INTO items SELECT i, some_vector((i * 7919 % 100000)::int) FROM (SELECT nextval('ids') AS i FROM generate_series(1, 5)) s RETURNING id;
BEGIN;
INSERT INTO items SELECT -1, some_vector((random() * 100000)::int) FROM generate_series(1, 3);
ROLLBACK;
END
my $vacuum = <<'END';
DELETE FROM items WHERE id = -2;
INSERT INTO items SELECT -2, some_vector((random() * 100000)::int) FROM generate_series(1, 20);
VACUUM items;
END

my $scripts = 0;

# Runs the script so many times in a session of its own, which writes to the file
# that is returned with it.
sub start_session
{
	my ($script, $times) = @_;
	my $file = $node->basedir . '/script' . ++$scripts;

	append_to_file("$file.sql", $script x $times);
	return {
		out => "$file.out",
		run => IPC::Run::start(
			[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$file.sql" ],
			'<', '/dev/null', '>', "$file.out", '2>', "$file.err") };
}

my $index_ids = q{
	SET enable_seqscan = off;
	SET enable_sort = off;
	SELECT count(*), count(DISTINCT id), coalesce(sum(id), 0)
	FROM (SELECT id FROM items ORDER BY v <-> (SELECT v FROM queries WHERE id = 1) OFFSET 0) s WHERE id > 0};
my $table_ids = 'SELECT count(*), count(DISTINCT id), coalesce(sum(id), 0) FROM items WHERE id > 0';
my $answers = q{
	SET enable_seqscan = off;
	SELECT q.id, array_agg(n.id) FROM queries q,
		LATERAL (SELECT id FROM items ORDER BY v <-> q.v LIMIT 10) n GROUP BY 1 ORDER BY 1};

my %committed;
foreach my $round (1 .. $crashes)
{
	my @sessions = map { start_session($_, 3000) } $writer, $writer, $writer, $vacuum;

	# When some rows are in, at a moment that differs from round to round.
	my $wanted = 300 * $round + 37;
	$node->poll_query_until('postgres', "SELECT (SELECT last_value FROM ids) > "
		. ($node->safe_psql('postgres', 'SELECT last_value FROM ids') + $wanted))
	  or die 'the sessions insert nothing';
	$node->stop('immediate');
	$_->{run}->finish foreach @sessions;
	# a killed session's last line may be cut short
	my @ids = map { slurp_file($_->{out}) =~ /^(\d+)\n/mg } @sessions;
	$committed{$_} = 1 foreach @ids;
	cmp_ok(scalar(@ids), '>', 100, "crash $round: " . scalar(@ids) . ' rows are known to be committed');
	$node->start;

	check_index($node, 'items_v_idx', "after crash $round");
	is($node->safe_psql('postgres', $index_ids), $node->safe_psql('postgres', $table_ids),
		"crash $round: the index returns every row");
	my %found = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', q{
		SET enable_seqscan = off;
		SET enable_sort = off;
		SELECT id FROM items ORDER BY v <-> (SELECT v FROM queries WHERE id = 2)});
	is(scalar(grep { !$found{$_} } keys %committed), 0, "crash $round: no committed row is lost");
	ok(!$found{-1}, "crash $round: no row of a transaction that did not commit is found");
	cmp_ok(recall($node, table => 'items', op => '<->', queries => 'SELECT v FROM queries', set => { 'vecx.ef_search' => 100 }),
		'>', 0.9, "crash $round: recall");

	is($node->safe_psql('postgres', 'SELECT count(*) FROM volatile'), '0', "crash $round: unlogged rows are gone")
	  if $round == 1;
	$node->safe_psql('postgres', 'INSERT INTO volatile SELECT id, v FROM source LIMIT 500');
	check_index($node, 'volatile_v_idx', "unlogged, after crash $round");
	$node->wait_for_catchup($standby);
	same_answers($node, $standby, $answers, "crash $round: the standby answers alike");
	same_answers($node, $standby, $index_ids, "crash $round: the standby's index returns the same rows");
}

# Searches on the standby while the primary changes what they read.
my $out = '';
my @sessions = map { start_session($_, 60) } $writer, $vacuum;
foreach (1 .. 20)
{
	my ($status, undef, $err) = $standby->psql('postgres', $answers);
	$out .= $err if $status;
}
$_->{run}->finish foreach @sessions;
is($out, '', 'searches on the standby never fail');
$node->wait_for_catchup($standby);
same_answers($node, $standby, $answers, 'the standby answers alike');

# The standby takes over, and goes on where the primary stopped.
$node->stop('immediate');
$standby->promote;
check_index($standby, 'items_v_idx', 'on the promoted standby');
my %found = map { $_ => 1 } split /\n/, $standby->safe_psql('postgres', q{
	SET enable_seqscan = off;
	SET enable_sort = off;
	SELECT id FROM items ORDER BY v <-> (SELECT v FROM queries WHERE id = 2)});
is(scalar(grep { !$found{$_} } keys %committed), 0, 'the promoted standby has every committed row');
$standby->safe_psql('postgres', 'INSERT INTO items SELECT id + 1000000, v FROM source; DELETE FROM items WHERE id % 2 = 0; VACUUM items');
check_index($standby, 'items_v_idx', 'changed on the promoted standby');
is($standby->safe_psql('postgres', $index_ids), $standby->safe_psql('postgres', $table_ids),
	'the promoted standby: the index returns every row');
unlike(slurp_file($standby->logfile), qr/PANIC|inconsistent page|invalid page/, "the standby's pages are the primary's");
$standby->stop;

done_testing();
