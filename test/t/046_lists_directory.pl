# Sessions that keep an index's centroids in memory: what others add, split and
# vacuum meanwhile is found by them as by new sessions, here and on a standby.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecxTest;

my $dim = 256;
my $node = new_node('main', allows_streaming => 1, hot_standby_feedback => 'on');

# Points about one that is so far from zero in all dimensions.
my $about = "ARRAY(SELECT (%s + random())::real FROM generate_series(1, $dim) WHERE i = i)::vector";
sub points { my ($where, $from, $to) = @_; return "SELECT i, " . sprintf($about, $where) . " FROM generate_series($from, $to) i"; }

# The ten nearest to such a point must be ten rows with these ids, else the division fails.
sub found
{
	my ($where, $from, $to) = @_;

	return "SELECT 1 / (count(*) = 10)::int FROM (SELECT id FROM items"
	  . " ORDER BY v <-> array_fill($where + .5, ARRAY[$dim])::vector LIMIT 10) s WHERE id BETWEEN $from AND $to;\n";
}

$node->safe_psql(
	'postgres', qq{
	CREATE TABLE items (id int, v vector($dim));
	SELECT setseed(.1);
	INSERT INTO items } . points('i % 40', 1, 4000) . qq{;
	CREATE INDEX items_v_idx ON items USING vecx (v) WITH (structure = lists, list_rows = 20);
	ALTER DATABASE postgres SET enable_seqscan = off;
	-- all that are known of: a list that is not is missed
	ALTER DATABASE postgres SET vecx.probes = 1000;
	ALTER DATABASE postgres SET enable_sort = off});

# Runs statements in one session, ends at the first that fails.
sub in_session
{
	my ($server, $name, $text) = @_;
	my $file = $server->basedir . "/$name.sql";

	append_to_file($file, $text);
	my ($status, $out, $err) = (0, '', '');
	IPC::Run::run([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $server->connstr('postgres'), '-f', $file ],
		'>', \$out, '2>', \$err)
	  or $status = 1;
	is($err, '', "$name: no error");
	return $out;
}

# Another session, started from within one.
sub elsewhere
{
	my ($sql) = @_;

	return "\\! psql -XqAt -v ON_ERROR_STOP=1 -d '" . $node->connstr('postgres') . qq{' -c "$sql"\n};
}
my $hops = "SELECT 'hops=' || hops FROM vecx_last_scan();\n";

# Enough searches to have them copied; by then no search of the graph is made.
my $warm = found(7, 1, 4000) x 60;
my $out = in_session($node, 'warm', found(7, 1, 4000) . $hops . $warm . $hops);
my @hops = $out =~ /^hops=(\d+)$/mg;
cmp_ok($hops[0], '>', 0, 'the first search goes through the graph');
is($hops[1], 0, 'later ones do not');
$out = in_session($node, 'few', "SET vecx.probes = 2;\n" . $warm . $hops);
like($out, qr/^hops=0$/m, 'nor do those that read few lists');

# Rows of a kind of their own come, their lists are split; they go, and lists with them, and
# other rows come to be where these were.
my $script = $warm;
foreach my $round (1 .. 4)
{
	my ($first, $last) = ($round * 10000, $round * 10000 + 1499);

	$script .= elsewhere("INSERT INTO items " . points(100 * $round, $first, $last));
	$script .= found(100 * $round, $first, $last) x 30 . $hops;
	$script .= elsewhere("DELETE FROM items WHERE id >= $first + 20");
	$script .= elsewhere('VACUUM items') x 2;
	$script .= found(100 * $round, $first, $last) x 30 . found(7, 1, 4000);
	$script .= "SELECT 1 / (count(*) = (SELECT count(*) FROM items WHERE id > 0))::int"
	  . " FROM (SELECT id FROM items ORDER BY v <-> array_fill(.5, ARRAY[$dim])::vector OFFSET 0) s;\n";
}
@hops = in_session($node, 'changes', $script) =~ /^hops=(\d+)$/mg;
is_deeply(\@hops, [ 0, 0, 0, 0 ], 'the lists were copied anew each time');
check_index($node, 'items_v_idx', 'after all');

# The same while others are at it all the time.  What a standby's queries need is kept, which
# above would have kept pages from being used again.
my $standby = new_standby($node, 'standby');
$node->wait_for_catchup($standby);
my $endless = '';
$endless .= found(7, 1, 4000) . found(100, 10000, 11499) foreach 1 .. 3000;
append_to_file($node->basedir . '/endless.sql', $endless);
my @sessions = map {
	my ($server, $err) = ($_, '');
	my $h = IPC::Run::start(
		[ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $server->connstr('postgres'), '-f', $node->basedir . '/endless.sql' ],
		'>', '/dev/null', '2>', \$err);
	[ $server->name, $h, \$err ];
} $node, $standby;
foreach my $round (5 .. 9)
{
	my ($first, $last) = ($round * 10000, $round * 10000 + 999);

	$node->safe_psql('postgres', "INSERT INTO items " . points(100 * $round, $first, $last));
	$node->safe_psql('postgres', "DELETE FROM items WHERE id > 20000");
	$node->safe_psql('postgres', 'VACUUM items');
}
foreach my $session (@sessions)
{
	my ($name, $h, $err) = @$session;

	ok($h->finish, "searches on $name all find what does not change") or diag($$err);
}
check_index($node, 'items_v_idx', 'after searches meanwhile');
$node->wait_for_catchup($standby);
in_session($standby, 'standby', $warm . found(7, 1, 4000) . found(100, 10000, 11499));

# Without memory for all, of which there are some hundreds again, there is the graph.
$node->safe_psql('postgres', 'INSERT INTO items ' . points('2000 + 10 * (i % 40)', 50000, 57999));
cmp_ok($node->safe_psql('postgres', "SELECT lists FROM vecx_info('items_v_idx')"), '>', 60, 'so many lists');
$out = in_session($node, 'little memory', "SET work_mem = '64kB';\n" . $warm . $hops);
like($out, qr/^hops=[1-9]/m, 'too little memory: a search of the graph');

$standby->stop;
$node->stop;
done_testing();
