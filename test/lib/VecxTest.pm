package VecxTest;

=pod

=head1 NAME

VecxTest - helpers for vecx's TAP tests

=head1 SYNOPSIS

  use strict;
  use warnings;
  use VecxTest;
  use Test::More;

  my $node = new_node('main', shared_buffers => '64MB');
  make_table($node, 'items', rows => 5000, dim => 64, clusters => 50);
  $node->safe_psql('postgres', 'CREATE INDEX ON items USING vecx (v vector_l2_ops)');

  my $queries = 'SELECT v FROM queries';
  make_table($node, 'queries', rows => 50, dim => 64, clusters => 50, seed => 2);
  cmp_ok(recall($node, table => 'items', op => '<->', queries => $queries), '>=', 0.95, 'recall');
  check_index($node, 'items_v_idx', 'after the build');

  done_testing();

test/run (make test-tap TESTS=name) sets PERL5LIB and the rest of the
environment, above all TEMP_CONFIG, whose settings lead every node to the
private installation.  All statements below run in the database "postgres".

=head1 FUNCTIONS

=cut

use strict;
use warnings;

use Exporter 'import';
use Test::More;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(new_node new_standby crash make_table load_papers recall
  plan_uses_index check_index same_answers);

=pod

=head2 new_node(name, setting => value, ...)

A started PostgreSQL::Test::Cluster node with vecx created in it.  The settings
go to postgresql.conf.  C<< allows_streaming => 1 >> is not a setting but makes
the node a possible primary.

=cut

sub new_node
{
	my ($name, %settings) = @_;
	my $streaming = delete $settings{allows_streaming} || 0;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(
		allows_streaming => $streaming,
		extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ]);
	$settings{shared_buffers} //= '64MB';
	$settings{autovacuum} //= 'off';
	foreach my $setting (sort keys %settings)
	{
		$node->append_conf('postgresql.conf', "$setting = '$settings{$setting}'");
	}
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION vecx');
	return $node;
}

=pod

=head2 new_standby(primary, name)

A started hot standby of a node made with allows_streaming.  It compares every
page that generic WAL records change with the primary's
(wal_consistency_checking), and stops if one differs.  Wait for it with
C<< $primary->wait_for_catchup($standby) >>.

=cut

sub new_standby
{
	my ($primary, $name) = @_;
	my $backup = "for_$name";
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$primary->safe_psql('postgres', "ALTER SYSTEM SET wal_consistency_checking = 'Generic'");
	$primary->reload;
	$primary->backup($backup);
	$standby->init_from_backup($primary, $backup, has_streaming => 1);
	$standby->start;
	return $standby;
}

=pod

=head2 crash(node)

Ends the server without a checkpoint and starts it again, so that it recovers
from its WAL.

=cut

sub crash
{
	my ($node) = @_;

	$node->stop('immediate');
	$node->start;
	return;
}

=pod

=head2 make_table(node, table, rows => n, dim => n, option => value, ...)

Fills C<< table(id int, v vector(dim), tag int) >>, creating it if it is not
there; tag is id % 100.  Options: C<seed> (1) decides all random numbers,
C<clusters> (0: none) draws the vectors around as many centres, the same ones for
every seed, with a spread of C<spread> (0.3) of the distance between them;
C<first> (1) is the first id.

=cut

sub make_table
{
	my ($node, $table, %option) = @_;
	my $rows = $option{rows};
	my $dim = $option{dim};
	my $seed = (($option{seed} // 1) % 1000) / 1000;
	my $first = $option{first} // 1;
	my $last = $first + $rows - 1;
	my $clusters = $option{clusters} || 0;
	my $spread = $option{spread} // 0.3;
	# The sum of three uniform numbers is normal enough.
	my $noise = '(random() + random() + random() - 1.5)';
	my $element = $clusters
	  ? "hashint4(c * $dim + d) / 2147483648.0 + $spread * $noise"
	  : $noise;
	# The subquery mentions c so that it is computed for each row.
	my $centre = $clusters ? "(random() * $clusters)::int" : 'i';

	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE IF NOT EXISTS $table (id int, v vector($dim), tag int);
		SELECT setseed($seed);
		INSERT INTO $table
		SELECT i,
			(SELECT array_agg(($element)::real ORDER BY d)
			 FROM generate_series(1, $dim) d WHERE c = c)::vector,
			i % 100
		FROM (SELECT i, $centre AS c FROM generate_series($first, $last) i
			OFFSET 0) s;
		ANALYZE $table;
	});
	return;
}

=pod

=head2 load_papers(node)

Creates and fills C<< papers(id, title, year, venue, n_authors, embedding
vector(256)) >> and C<< queries(id, title, embedding, neighbours) >> with the demo's
10,000 papers and 20 queries; neighbours are the exact ten nearest under cosine.

=cut

sub load_papers
{
	my ($node) = @_;
	my $demo = ($ENV{VECX_SRC} // '.') . '/demo';

	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE papers (id text PRIMARY KEY, title text, year int, venue text,
			n_authors int, embedding vector(256));
		CREATE TABLE queries (id text PRIMARY KEY, title text, embedding vector(256),
			neighbours text[]);
		COPY papers FROM PROGRAM 'gzip -dc $demo/papers.csv.gz' (FORMAT csv, HEADER);
		COPY queries FROM PROGRAM 'gzip -dc $demo/queries.csv.gz' (FORMAT csv, HEADER);
		ANALYZE papers;
	});
	return;
}

=pod

=head2 recall(node, table => t, op => '<->', queries => SQL, option => value, ...)

The mean share of the true k nearest rows that a search by index finds, over the
queries that the SQL returns (one column of the column's type).  A row counts as
true if it is no farther than the k-th of an exact search, so that it does not
matter which of several equally distant rows is found.  Dies if a search does not
use an index.

Options: C<column> (v), C<k> (10), C<where> (a condition), C<set>, a reference to a
hash of settings for the search by index.

=cut

my $recall_function = q{
CREATE OR REPLACE FUNCTION vecx_test_recall(tbl text, col text, op text, queries text,
	k int, cond text) RETURNS float8 LANGUAGE plpgsql AS $fn$
DECLARE
	search text;
	query text;
	coltype text;
	line text;
	plan text;
	exact float8[];
	got float8[];
	total float8 := 0;
	n int := 0;
BEGIN
	SELECT format_type(atttypid, NULL) INTO STRICT coltype FROM pg_attribute
	WHERE attrelid = tbl::regclass AND attname = col;
	FOR query IN EXECUTE format('SELECT q::text FROM (%s) AS s(q)', queries) LOOP
		search := format('SELECT %1$I %2$s %3$L::%4$s FROM %5$s WHERE %6$s '
			'ORDER BY %1$I %2$s %3$L::%4$s LIMIT %7$s', col, op, query, coltype, tbl, cond, k);
		SET LOCAL enable_indexscan = off;
		SET LOCAL enable_seqscan = on;
		EXECUTE format('SELECT array_agg(d) FROM (%s) AS s(d)', search) INTO exact;
		SET LOCAL enable_indexscan = on;
		SET LOCAL enable_seqscan = off;
		plan := '';
		FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || search LOOP
			plan := plan || line || E'\n';
		END LOOP;
		IF plan !~ 'Order By' THEN
			RAISE EXCEPTION E'not an ordered index scan:\n%', plan;
		END IF;
		EXECUTE format('SELECT array_agg(d) FROM (%s) AS s(d)', search) INTO got;
		IF exact IS NOT NULL THEN
			SELECT total + count(*)::float8 / cardinality(exact) INTO total
			FROM unnest(got) d WHERE d <= exact[cardinality(exact)];
			n := n + 1;
		END IF;
	END LOOP;
	RETURN total / nullif(n, 0);
END $fn$;
};

sub recall
{
	my ($node, %arg) = @_;
	my %set = %{ $arg{set} || {} };
	my $settings = join '', map { "SET $_ = '$set{$_}';\n" } sort keys %set;
	my $column = $arg{column} // 'v';
	my $k = $arg{k} // 10;
	my $where = $arg{where} // 'true';
	my $function = $recall_function;

	# A standby has the function from its primary.
	$function = '' if $node->safe_psql('postgres', 'SELECT pg_is_in_recovery()') eq 't';
	return $node->safe_psql('postgres',
		"SET client_min_messages = warning;\n$function$settings"
		  . "SELECT vecx_test_recall(\$a\$$arg{table}\$a\$, \$a\$$column\$a\$, \$a\$$arg{op}\$a\$, "
		  . "\$a\$$arg{queries}\$a\$, $k, \$a\$$where\$a\$)");
}

=pod

=head2 plan_uses_index(node, sql)

True if the statement's plan has an ordered index scan.

=cut

sub plan_uses_index
{
	my ($node, $sql) = @_;

	return $node->safe_psql('postgres', "EXPLAIN (COSTS OFF) $sql") =~ /Index Scan.*Order By/s;
}

=pod

=head2 check_index(node, index, name)

A test that vecx_check finds the index whole, down to each heap row.

=cut

sub check_index
{
	my ($node, $index, $name) = @_;
	my ($status, $out, $err) =
	  $node->psql('postgres', "SELECT vecx_check('$index'::regclass, true)");

	is("$status $err", '0 ', "$index is whole: $name");
	return;
}

=pod

=head2 same_answers(node, node, sql, name)

A test that both nodes answer the query alike.

=cut

sub same_answers
{
	my ($one, $other, $sql, $name) = @_;

	is($other->safe_psql('postgres', $sql), $one->safe_psql('postgres', $sql), $name);
	return;
}

1;
