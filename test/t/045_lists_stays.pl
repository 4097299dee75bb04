# A row that a split gives to the list of a nearer centroid, of rows that should have a copy where
# they were: its entry there is for scans that were under way, and stays as that copy when no
# scan needs it any more.  The flags of entries are read from the file.

use strict;
use warnings;

use Test::More;
use VecxDamage;
use VecxTest;

my $index = 'items_v_idx';
my $dim = 1024;
my %flag = (own => 0, arrived => 8, copy => 16, leaving => 32, leaving_stays => 96);

# See src/am/README.lists.md: of this many dimensions, codes of a block, its bytes, and those of a
# row in an open one.
my $codes = $dim / 4 * 16;
my $block = $codes + 256 + 32 * 8;
my $open = 8 + 8 + $dim / 8;

my $node = new_node('lists');

sub sql { return $node->safe_psql('postgres', @_); }

# The flags of each entry, by row and page.
sub entries
{
	my %entries;

	sql('CHECKPOINT');
	load(index_path($node, $index));
	foreach my $page (0 .. length($file) / $page_size - 1)
	{
		my $at = $page * $page_size;
		my $special = get($at + 16, 'S');

		next if $special == 0 || get($at + $special + 4, 'C') != 8;
		my $rows = get($at + 56, 'S');
		foreach my $i (0 .. $rows - 1)
		{
			my $full = int($i / 32) < int($rows / 32);
			my $entry = $at + 64 + $block * int($i / 32)
			  + ($full ? $codes + 256 + 8 * ($i % 32) : $open * ($i % 32) + 8);

			$entries{ unpack('H*', substr($file, $entry, 6)) . " $page" } = get($entry + 6, 'S');
		}
	}
	return %entries;
}

sub with_flag
{
	my ($name, %entries) = @_;

	return sort grep { $entries{$_} == $flag{$name} } keys %entries;
}

# Rows that fill three of the dimensions have many borders.
sql(qq{
	CREATE TABLE items (id serial, v vector($dim)) WITH (autovacuum_enabled = off);
	CREATE FUNCTION point() RETURNS vector LANGUAGE sql VOLATILE AS \$\$
		SELECT (ARRAY[random(), random(), random()] || array_fill(0::float, ARRAY[$dim - 3]))::vector
	\$\$;
	SELECT setseed(.5);
	INSERT INTO items (v) SELECT point() FROM generate_series(1, 3000);
	CREATE INDEX $index ON items USING vecx (v) WITH (structure = lists, list_rows = 30, replicas = 2);
	INSERT INTO items (v) SELECT point() FROM generate_series(1, 1600)});

my %before = entries();
my @stay = with_flag('leaving_stays', %before);
my @leave = with_flag('leaving', %before);
cmp_ok(@stay, '>', 10, 'rows left entries that are to be copies');
cmp_ok(@leave, '>', 10, 'and others that are not');
is(scalar(grep { !exists { reverse %flag }->{$_} } values %before), 0, 'no entry has other flags');
check_index($node, $index, 'after splits');

# entries are seen to by VACUUM if there is a dead row
sql("DELETE FROM items WHERE id = 1; VACUUM items");
my %after = entries();
my @same = grep { exists $after{$_} } @stay;

# VACUUM may have split some of their lists
cmp_ok(@same, '>', @stay / 2, 'most of the former are where they were');
is(scalar(grep { $after{$_} != $flag{copy} } @same), 0, 'as copies');
cmp_ok(scalar(grep { exists $after{$_} } @leave), '<', @leave / 5, 'the others are gone, but for some that came back');
check_index($node, $index, 'after VACUUM');
is( sql(qq{SET enable_seqscan = off;
		SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM items ORDER BY v <-> (SELECT v FROM items WHERE id = 7)) s}),
	'4599|4599', 'each row comes once');

done_testing();
