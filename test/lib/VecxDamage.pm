package VecxDamage;

=pod

=head1 NAME

VecxDamage - index files that are changed while the server is down

=head1 SYNOPSIS

  use VecxDamage;

  without_checksums($node);
  my $path = index_path($node, 'items_v_idx');
  $node->stop;
  damage($path, 'magic number', sub { put(24, 'L', 1) });
  $node->start;
  like(outcome($node, q{SELECT vecx_check('items_v_idx', true)}), qr/^XX002: /, 'found');

=head1 VARIABLES AND FUNCTIONS

=cut

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;
use Test::More;
use VecxTest;

our @EXPORT = qw($page_size $file get put field load store damage
  without_checksums index_path outcome goes_on);

=pod

=head2 $page_size, $file

Bytes of a page, and the bytes of the index file in hand.

=cut

our $page_size = 8192;
our $file;

=pod

=head2 get(at, letter), put(at, letter, value)

A number in the file, as pack's letter says.

=cut

sub get
{
	my ($at, $letter) = @_;
	my $field = substr($file, $at, length(pack($letter, 0)));

	return unpack($letter, $field);
}

sub put
{
	my ($at, $letter, $value) = @_;

	substr($file, $at, length(pack($letter, 0))) = pack($letter, $value);
	return;
}

=pod

=head2 field(fields, at, name[, value])

The field of that name of the structure at that place, after setting it if there
is a value.  Fields are a reference to a hash of [ offset, letter ].

=cut

sub field
{
	my ($fields, $at, $name, $value) = @_;
	my ($offset, $letter) = @{ $fields->{$name} };

	put($at + $offset, $letter, $value) if defined $value;
	return get($at + $offset, $letter);
}

=pod

=head2 load(path), store(path)

Takes an index file in hand, and writes it.

=cut

sub load
{
	my ($path) = @_;

	$file = slurp_file($path);
	return;
}

sub store
{
	my ($path) = @_;

	open my $out, '>:raw', $path or die "$path: $!";
	print $out $file;
	close $out or die "$path: $!";
	return;
}

=pod

=head2 damage(path, name, change)

Changes a file by the sub, and dies if that changes nothing.

=cut

sub damage
{
	my ($path, $name, $change) = @_;

	load($path);
	my $before = $file;
	$change->();
	die "case $name changes nothing" if $file eq $before;
	store($path);
	return;
}

=pod

=head2 without_checksums(node)

Disables data checksums, which would find the damage before vecx does.

=cut

sub without_checksums
{
	my ($node) = @_;

	if ($node->safe_psql('postgres', 'SHOW data_checksums') eq 'on')
	{
		$node->stop;
		system_or_bail('pg_checksums', '--disable', '-D', $node->data_dir);
		$node->start;
	}
	return;
}

=pod

=head2 index_path(node, index)

=cut

sub index_path
{
	my ($node, $index) = @_;

	return $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('$index')");
}

=pod

=head2 outcome(node, sql)

SQLSTATE and message of a statement, '00000' if it succeeds.

=cut

sub outcome
{
	my ($node, $sql) = @_;
	my ($status, $out, $err) = $node->psql('postgres',
		"\\set VERBOSITY verbose\nSET enable_seqscan = off; SET statement_timeout = '60s';\n$sql");

	return "00000 $out" if $status == 0;
	return $err =~ /(?:ERROR|FATAL|PANIC):\s+(.*)/s ? $1 : "lost $err";
}

=pod

=head2 goes_on(node, index, name, sql, ...)

Tests that each statement succeeds or says that the index or a file is damaged,
and that REINDEX repairs the index.

=cut

sub goes_on
{
	my ($node, $index, $name, @sql) = @_;

	foreach my $sql (@sql)
	{
		like(outcome($node, $sql), qr/^(00000|XX00[12])/, "$name: ends") or diag($sql);
	}
	$node->safe_psql('postgres', "REINDEX INDEX $index");
	check_index($node, $index, "$name: after REINDEX");
	return;
}

1;
