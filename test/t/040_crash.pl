# The server is killed several times while sessions insert, delete and vacuum.
# After each restart the index is whole and nothing committed is lost; a standby
# compares every page, answers alike, and can be promoted.

use strict;
use warnings;

use Test::More;
use VecxCrash;
use VecxTest;

my $pair = crash_pair(dim => 32);
my ($node, $standby) = @{$pair}{qw(node standby)};
my $writer = writer_script(5, 3);
my $vacuum = vacuum_script(20);

foreach my $round (1 .. 4)
{
	# When some rows are in, at a moment that differs from round to round.
	crash_round($pair, $round, 300 * $round + 37, $writer, $writer, $writer, $vacuum);
	cmp_ok(recall($node, table => 'items', op => '<->', queries => 'SELECT v FROM queries', set => { 'vecx.ef_search' => 100 }),
		'>', 0.95, "crash $round: recall");
}

# Searches on the standby while the primary changes what they read.
my $out = '';
my @sessions = map { start_session($node, $_, 60) } $writer, $vacuum;
foreach (1 .. 20)
{
	my ($status, undef, $err) = $standby->psql('postgres', $some_answers);
	$out .= $err if $status;
}
$_->{run}->finish foreach @sessions;
is($out, '', 'searches on the standby never fail');
$node->wait_for_catchup($standby);
same_answers($node, $standby, $some_answers, 'the standby answers alike');

# What a standby has no contents of is refused, by functions on indexes and on tables.
foreach my $call (q{vecx_info('volatile_v_idx')}, q{vecx_estimate('volatile', 'v')})
{
	my (undef, undef, $err) = $standby->psql('postgres', "SELECT $call");
	like($err, qr/ERROR:  cannot access temporary or unlogged relations during recovery/, "refused on a standby: $call");
}

(undef, undef, my $err) = $standby->psql('postgres', q{SELECT vecx_check('items_v_idx')});
like($err, qr/ERROR:  cannot execute vecx_check\(\) during recovery/, 'refused on a standby: vecx_check');

# The standby takes over, and goes on where the primary stopped.
take_over($pair);

done_testing();
