package VecxCrash;

=pod

=head1 NAME

VecxCrash - servers that are killed while sessions write

=head1 SYNOPSIS

  use VecxTest;
  use VecxCrash;

  my $pair = crash_pair(dim => 32);
  my $writer = writer_script(5, 3);
  crash_round($pair, 1, 337, $writer, $writer, vacuum_script(20));
  take_over($pair);

=head1 FUNCTIONS

=cut

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use VecxTest;

our @EXPORT = qw(start_session crash_while crash_pair writer_script vacuum_script
  crash_round take_over index_ids every_row $some_answers);

my $scripts = 0;

=pod

=head2 start_session(node, script, times)

Runs the script so many times in a session of its own, until it fails or the
server goes away.  Returns a reference to a hash of the session (C<run>, of
IPC::Run) and the file that it writes to (C<out>).

=cut

sub start_session
{
	my ($node, $script, $times) = @_;
	my $file = $node->basedir . '/script' . ++$scripts;

	append_to_file("$file.sql", $script x $times);
	return {
		out => "$file.out",
		run => IPC::Run::start(
			[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$file.sql" ],
			'<', '/dev/null', '>', "$file.out", '2>', "$file.err") };
}

=pod

=head2 crash_while(node, wanted, script, ...)

Starts a session for each script, kills the server once the sequence C<ids> is
more than C<wanted> numbers ahead, and starts it again.  Returns the numbers that
the sessions wrote, each on a line: ids that they know to be committed.

=cut

sub crash_while
{
	my ($node, $wanted, @scripts) = @_;
	my @sessions = map { start_session($node, $_, 3000) } @scripts;
	my $from = $node->safe_psql('postgres', 'SELECT last_value FROM ids');

	$node->poll_query_until('postgres', "SELECT last_value > $from + $wanted FROM ids")
	  or die 'the sessions insert nothing';
	$node->stop('immediate');
	$_->{run}->finish foreach @sessions;
	$node->start;
	# a killed session's last line may be cut short
	return map { slurp_file($_->{out}) =~ /^(\d+)\n/mg } @sessions;
}

=pod

=head2 crash_pair(dim => n, option => value, ...)

A node and its standby, as a reference to a hash: C<node>, C<standby>, and
C<committed>, whose keys are the ids that crash_round has found to be committed.
There are the tables C<source> and C<queries>, an empty C<items> with the index
C<items_v_idx>, and an unlogged C<volatile> with all of source and the index
C<volatile_v_idx>; C<some_vector(n)> is a vector like source's, a copy of one, or
NULL.  Options: C<items> and C<volatile> (''), what follows the column in their
indexes' definitions.

=cut

sub crash_pair
{
	my (%option) = @_;
	my $dim = $option{dim};
	my $items = $option{items} // '';
	my $volatile = $option{volatile} // '';
	my $node = new_node('primary', allows_streaming => 1, shared_buffers => '64MB', max_wal_size => '256MB', wal_keep_size => '1GB');

	make_table($node, 'source', rows => 3000, dim => $dim, clusters => 40, spread => 1.5);
	make_table($node, 'queries', rows => 20, dim => $dim, clusters => 40, spread => 1.5, seed => 2);
	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE items (id bigint, v vector($dim));
		CREATE SEQUENCE ids;
		CREATE INDEX items_v_idx ON items USING vecx (v vector_l2_ops) $items;
		CREATE UNLOGGED TABLE volatile (id bigint, v vector($dim));
		CREATE INDEX volatile_v_idx ON volatile USING vecx (v vector_l2_ops) $volatile;
		INSERT INTO volatile SELECT id, v FROM source;
		CREATE FUNCTION some_vector(n int) RETURNS vector LANGUAGE sql AS
			'SELECT CASE WHEN n % 20 = 0 THEN NULL WHEN n % 5 = 0 THEN v ELSE v * array_fill(1 + n * 1e-7::real, ARRAY[$dim])::vector END
			FROM source WHERE id = n % 3000 + 1';
		CREATE INDEX ON source (id);
	});
	return { node => $node, standby => new_standby($node, 'standby'), committed => {} };
}

=pod

=head2 writer_script(rows, aborted)

Inserts a row, then C<rows> more in one statement, and tells which ids it
committed; then C<aborted> rows, of id -1, in a transaction that is rolled back.

=cut

sub writer_script
{
	my ($rows, $aborted) = @_;

	return <<"END";
SELECT nextval('ids') AS id \\gset
INSERT INTO items VALUES (:id, some_vector((:id * 7919 % 100000)::int));
\\echo :id
INSERT INTO items SELECT i, some_vector((i * 7919 % 100000)::int) FROM (SELECT nextval('ids') AS i FROM generate_series(1, $rows)) s RETURNING id;
BEGIN;
INSERT INTO items SELECT -1, some_vector((random() * 100000)::int) FROM generate_series(1, $aborted);
ROLLBACK;
END
}

=pod

=head2 vacuum_script(rows)

Replaces the rows of id -2 by so many others, and vacuums.

=cut

sub vacuum_script
{
	my ($rows) = @_;

	return <<"END";
DELETE FROM items WHERE id = -2;
INSERT INTO items SELECT -2, some_vector((random() * 100000)::int) FROM generate_series(1, $rows);
VACUUM items;
END
}

# How many rows there are.
my $figures = 'SELECT count(*), count(DISTINCT id), coalesce(sum(id), 0)';

=pod

=head2 index_ids(operator)

A query for the number of rows of items by the index of that operator.

=cut

sub index_ids
{
	my ($operator) = @_;

	return qq{
		SET enable_seqscan = off;
		SET enable_sort = off;
		$figures FROM (SELECT id FROM items ORDER BY v $operator (SELECT v FROM queries WHERE id = 1) OFFSET 0) s WHERE id > 0};
}

=pod

=head2 $some_answers

A query for the ten rows nearest to each of seven queries.  How many lists it reads is
set, and a session that searches posting lists more often may keep their centroids: how many are
read for a target, and when a session begins to keep centroids, depends on the length of the
file, which after a crash may be longer than what is replayed of it.

=cut

our $some_answers = q{
	SET enable_seqscan = off;
	SET vecx.probes = 10;
	SELECT q.id, array_agg(n.id) FROM queries q,
		LATERAL (SELECT id FROM items ORDER BY v <-> q.v LIMIT 10) n WHERE q.id <= 7 GROUP BY 1 ORDER BY 1};

# The ids that the index returns, as keys.
sub found_ids
{
	my ($node) = @_;

	return map { $_ => 1 } split /\n/, $node->safe_psql('postgres', q{
		SET enable_seqscan = off;
		SET enable_sort = off;
		SELECT id FROM items ORDER BY v <-> (SELECT v FROM queries WHERE id = 2)});
}

=pod

=head2 every_row(node, operator, name)

A test that the index of that operator returns as many rows as the table has.

=cut

sub every_row
{
	my ($node, $operator, $name) = @_;

	is($node->safe_psql('postgres', index_ids($operator)), $node->safe_psql('postgres', "$figures FROM items WHERE id > 0"),
		"$name: the index returns every row by $operator");
	return;
}

=pod

=head2 crash_round(pair, round, wanted, script, ...)

Crashes the pair's node as crash_while does, and tests that more than 100 ids
were committed, that the index is whole and returns every row, those of all
rounds and none that was rolled back, and that the standby answers alike.

=cut

sub crash_round
{
	my ($pair, $round, $wanted, @scripts) = @_;
	my ($node, $standby, $committed) = @{$pair}{qw(node standby committed)};
	my @ids = crash_while($node, $wanted, @scripts);
	my %found;

	$committed->{$_} = 1 foreach @ids;
	cmp_ok(scalar(@ids), '>', 100, "crash $round: " . scalar(@ids) . ' rows are known to be committed');
	check_index($node, 'items_v_idx', "after crash $round");
	every_row($node, '<->', "crash $round");
	%found = found_ids($node);
	is(scalar(grep { !$found{$_} } keys %$committed), 0, "crash $round: no committed row is lost");
	ok(!$found{-1}, "crash $round: no row of a transaction that did not commit is found");

	is($node->safe_psql('postgres', 'SELECT count(*) FROM volatile'), '0', "crash $round: unlogged rows are gone")
	  if $round == 1;
	$node->safe_psql('postgres', 'INSERT INTO volatile SELECT id, v FROM source LIMIT 500');
	check_index($node, 'volatile_v_idx', "unlogged, after crash $round");
	$node->wait_for_catchup($standby);
	same_answers($node, $standby, $some_answers, "crash $round: the standby answers alike");
	same_answers($node, $standby, index_ids('<->'), "crash $round: the standby's index returns the same rows");
	return;
}

=pod

=head2 take_over(pair)

Kills the node for good and promotes the standby, which has to have caught up.
Tests that it has every committed row and goes on where the other stopped, and
stops it.

=cut

sub take_over
{
	my ($pair) = @_;
	my ($node, $standby, $committed) = @{$pair}{qw(node standby committed)};
	my %found;

	$node->stop('immediate');
	$standby->promote;
	check_index($standby, 'items_v_idx', 'on the promoted standby');
	%found = found_ids($standby);
	is(scalar(grep { !$found{$_} } keys %$committed), 0, 'the promoted standby has every committed row');
	$standby->safe_psql('postgres', 'INSERT INTO items SELECT id + 1000000, v FROM source; DELETE FROM items WHERE id % 2 = 0; VACUUM items');
	check_index($standby, 'items_v_idx', 'changed on the promoted standby');
	every_row($standby, '<->', 'the promoted standby');
	unlike(slurp_file($standby->logfile), qr/PANIC|inconsistent page|invalid page/, "the standby's pages are the primary's");
	$standby->stop;
	return;
}

1;
