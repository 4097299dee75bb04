# Damaged input of vector, halfvec, sparsevec and bitvector, text and binary: each of 10,000
# mutations of valid input, a type and a form, is either accepted, and then the
# value is written and read back the same, or refused with an SQLSTATE that
# speaks of data (22), limits (54) or the protocol (08).  Nothing brings the
# server down.  FUZZ_SEED repeats a run.

use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use VecxTest;

my $mutations = 10000;
my $seed = $ENV{FUZZ_SEED} // 20240611;
srand($seed);
note("FUZZ_SEED=$seed");

my $node = new_node('types_fuzz');
my $dir = PostgreSQL::Test::Utils::tempdir;
my $started = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');

sub pick
{
	return $_[ int(rand(@_)) ];
}

# Numbers at and over the edges of float4, and what is not quite a number.
my @odd_numbers = (
	'NaN', 'nan', '-NaN', 'inf', '-Infinity', '+inf', '1e38', '3.5e38', '-3.4028236e38', '1e39', '1e-45',
	'1e-46', '-0', '00', '0x1p3', '0x', '1e', '1e+', '1e99999999999999999999', '1e-99999999999999999999',
	'.', '-', '+', '--1', '1.2.3', '.5', '5.', '16777217', '0.1000000052154064178466796875',
	'65519.99', '65520', '-7e4', '6e-8', '3e-8', '9' x 400, '0.' . '0' x 400 . '1', '1' . '0' x 38, '', ' ', 'null', '1_000', '1,000', "\xc3\xa9", "\xc2\xa0");

sub number
{
	return pick(@odd_numbers) if rand() < 0.05;
	return sprintf('%.*g', 1 + int(rand(12)), (rand() - 0.5) * 10**(int(rand(20)) - 10)) if rand() < 0.5;
	return int(rand(256));
}

sub vector_text
{
	my $n = rand() < 0.02 ? 15990 + int(rand(20)) : 1 + int(rand(8));

	return '[' . join(',', map { $n > 100 ? 1 : number() } 1 .. $n) . ']';
}

sub sparsevec_text
{
	my $n = rand() < 0.02 ? 15990 + int(rand(20)) : int(rand(8));
	my $dim = pick(1 + int(rand(9)), 4, 100, 20000, 1000000000);
	my $at = 0;
	my @elements = map { ($n > 100 ? ++$at : 1 + int(rand(2 + $dim))) . ':' . ($n > 100 ? 1 : number()) } 1 .. $n;

	return '{' . join(',', @elements) . '}/' . (rand() < 0.05 ? pick(0, -1, 1000000001, '', 9 x 30) : $dim);
}

sub bitvector_text
{
	my $n = rand() < 0.02 ? 63990 + int(rand(20)) : 1 + int(rand(40));

	return 'x' . substr('5a' x 8003, 0, int($n / 4)) if rand() < 0.2;
	return pick('', '', 'b', 'B') . substr(sprintf('%032b', rand(2**32)) x 2001, 0, $n);
}

# Damages a string of bytes in up to four places.
sub mutate
{
	my ($s, @alphabet) = @_;

	for (1 .. int(rand(5)))
	{
		my $at = int(rand(length($s) + 1));
		my $what = int(rand(5));

		if ($what == 0) { substr($s, $at, 1 + int(rand(3))) = '' if $at < length($s); }
		elsif ($what == 1) { substr($s, $at, 0) = pick(@alphabet); }
		elsif ($what == 2) { substr($s, $at, 1) = pick(@alphabet) if $at < length($s); }
		elsif ($what == 3) { $s = substr($s, 0, $at) if rand() < 0.3; }
		else { substr($s, $at, 0) = substr($s, int(rand(length($s) + 1)), int(rand(10))); }
	}
	return $s;
}

my @characters = (split(//, '0123456789..,,--+eE[]  b()x{}"\'\\NaIf_;:'), "\t", "\n", "\r", "\x0b", "\xc3\xa9", @odd_numbers);

sub text_mutation
{
	my ($type) = @_;
	my $s = $type eq 'bitvector' ? bitvector_text() : $type eq 'sparsevec' ? sparsevec_text() : vector_text();

	$s = mutate($s, $type ne 'bitvector' || rand() < 0.2 ? @characters : (0, 1, 'a', 'F'));
	# A mutation may have split a character, which the server would refuse first.
	my $copy = $s;
	$s =~ s/[\x80-\xff]//g unless utf8::decode($copy);
	return $s;
}

# The field of a binary COPY: declared length and bytes.
sub binary_mutation
{
	my ($type) = @_;
	my ($n, $field);

	if ($type eq 'vector')
	{
		$n = rand() < 0.02 ? 15990 + int(rand(20)) : 1 + int(rand(8));
		my @values = map { rand() < 0.03 ? pick(9**9**9, -9**9**9, -sin(9**9**9), 1e-45) : rand() - 0.5 } 1 .. $n;
		my $dim = rand() < 0.1 ? pick(0, -1, $n + 1, $n - 1, 32767, -32768, 16001) : $n;
		$field = pack('s> s> f>*', $dim, rand() < 0.05 ? pick(1, -1, 256) : 0, @values);
	}
	elsif ($type eq 'halfvec')
	{
		$n = rand() < 0.02 ? 15990 + int(rand(20)) : 1 + int(rand(8));
		# All bits, but for most of the infinities and NaNs.
		my @values = map { rand() < 0.03 ? pick(0x7c00, 0xfc00, 0x7e00, 0xffff) : int(rand(65536)) & 0xbfff } 1 .. $n;
		my $dim = rand() < 0.1 ? pick(0, -1, $n + 1, $n - 1, 32767, -32768, 16001) : $n;
		$field = pack('s> s> n*', $dim, rand() < 0.05 ? pick(1, -1, 256) : 0, @values);
	}
	elsif ($type eq 'sparsevec')
	{
		$n = rand() < 0.02 ? 15990 + int(rand(20)) : int(rand(8));
		my $dim = rand() < 0.1 ? pick(0, -1, $n - 1, 2147483647, -2147483648, 1000000001) : pick($n + 1, 4, 20000, 1000000000);
		my @index = sort { $a <=> $b } map { int(rand($n + 3)) * 2 + ($_ % 2) } 1 .. $n;
		@index = (0 .. $n - 1) if rand() < 0.5;
		my @values = map { rand() < 0.03 ? pick(9**9**9, -9**9**9, -sin(9**9**9), 1e-45, 0, -0.0) : rand() - 0.5 } 1 .. $n;
		my $nnz = rand() < 0.05 ? pick(-1, $n + 1, $n - 1, 16001, 2147483647, -2147483648) : $n;
		$field = pack('l> l> l>', $dim, $nnz, rand() < 0.05 ? pick(1, -1, 256) : 0)
			. pack('l>*', @index) . pack('f>*', @values);
	}
	else
	{
		$n = rand() < 0.02 ? 63990 + int(rand(20)) : 1 + int(rand(40));
		my $nbits = rand() < 0.1 ? pick(0, -1, $n + 8, $n - 8, 2147483647, -2147483648, 64001) : $n;
		$field = pack('l>', $nbits) . join('', map { chr(int(rand(256))) } 1 .. int(($n + 7) / 8));
	}
	$field = mutate($field, map { chr(int(rand(256))) } 1 .. 20) if rand() < 0.5;

	# A declared length of -1 would be NULL.
	my $length = length($field);
	$length += pick(-1, 1, 4, -$length, 1000000000, -2 - $length) if $length > 0 && rand() < 0.05;
	return pack('l>', $length) . $field;
}

sub copy_text
{
	my ($s) = @_;

	$s =~ s/\\/\\\\/g;
	$s =~ s/\t/\\t/g;
	$s =~ s/\n/\\n/g;
	$s =~ s/\r/\\r/g;
	return $s;
}

# What an accepted value must satisfy, and the outcome of all inputs.
my %written_and_read = (
	vector => 'vector_send(v) = vector_send(v::text::vector)',
	halfvec => 'halfvec_send(v) = halfvec_send(v::text::halfvec)',
	sparsevec => 'sparsevec_send(v) = sparsevec_send(v::text::sparsevec)',
	bitvector => 'bitvector_send(v) = bitvector_send(v::text::bitvector)');

sub outcomes
{
	my ($type, $form, $accept) = @_;
	my $sql = qq{
		SET enable_seqscan = off;
		CREATE TABLE outcome_${type}_$form (n int, state text, same bool);
		DO \$\$
		DECLARE v $type; input text; same bool; i int;
		BEGIN
			FOR i, input IN SELECT n, t FROM input_$type ORDER BY n LOOP
				BEGIN
					$accept
					same := $written_and_read{$type};
					INSERT INTO outcome_${type}_$form VALUES (i, '00000', same);
				EXCEPTION WHEN OTHERS THEN
					INSERT INTO outcome_${type}_$form VALUES (i, SQLSTATE, NULL);
				END;
			END LOOP;
		END \$\$;
	};
	my ($status, $out, $err) = $node->psql('postgres', $sql);

	is("$status $err", '0 ', "$type $form: all inputs are tried");
	is( $node->safe_psql('postgres', "SELECT string_agg(n || ' ' || state, ', ') FROM outcome_${type}_$form
			WHERE state !~ '^(00|22|54|08)'"),
		'', "$type $form: every refusal has an expected SQLSTATE");
	is( $node->safe_psql('postgres', "SELECT count(*) FROM outcome_${type}_$form WHERE NOT same"),
		'0', "$type $form: every accepted value reads back the same");
	my $counts = $node->safe_psql('postgres',
		"SELECT count(*), count(same), count(*) - count(same) FROM outcome_${type}_$form");
	my ($all, $accepted, $refused) = split /\|/, $counts;
	is($all, $mutations, "$type $form: no input is lost");
	cmp_ok($accepted, '>', $mutations / 20, "$type $form: $accepted accepted");
	cmp_ok($refused, '>', $mutations / 20, "$type $form: $refused refused");
	return;
}

foreach my $type ('vector', 'halfvec', 'sparsevec', 'bitvector')
{
	open my $file, '>:raw', "$dir/$type.txt" or die "$dir/$type.txt: $!";
	print $file "$_\t" . copy_text(text_mutation($type)) . "\n" for 1 .. $mutations;
	close $file or die $!;
	$node->safe_psql('postgres', "CREATE TABLE input_$type (n int, t text);
		COPY input_$type FROM '$dir/$type.txt'");

	# Every third input meets a type modifier as well.
	outcomes($type, 'text', "IF i % 3 = 0 THEN v := input::$type(4); ELSE v := input::$type; END IF;");

	# One file, hence one COPY, an input.
	mkdir "$dir/$type" or die $!;
	for my $i (1 .. $mutations)
	{
		open my $binary, '>:raw', "$dir/$type/$i" or die $!;
		print $binary "PGCOPY\n\xff\r\n\0", pack('N N n', 0, 0, 1), binary_mutation($type), pack('s>', -1);
		close $binary or die $!;
	}
	# Each row is found by its input's number, so that no table has to be emptied.
	$node->safe_psql('postgres', qq{
		CREATE TABLE any_$type (v $type, n int DEFAULT current_setting('fuzz.n')::int PRIMARY KEY);
		CREATE TABLE four_$type (v $type(4), n int DEFAULT current_setting('fuzz.n')::int PRIMARY KEY)});
	outcomes($type, 'binary', qq{
		PERFORM set_config('fuzz.n', i::text, true);
		IF i % 10 = 0 THEN
			EXECUTE format('COPY four_$type (v) FROM %L (FORMAT binary)', '$dir/$type/' || i);
			SELECT t.v INTO STRICT v FROM four_$type t WHERE n = i;
		ELSE
			EXECUTE format('COPY any_$type (v) FROM %L (FORMAT binary)', '$dir/$type/' || i);
			SELECT t.v INTO STRICT v FROM any_$type t WHERE n = i;
		END IF;});
}

# The parser of numbers against float4's, which may refuse what underflows.
$node->safe_psql('postgres', q{
	CREATE FUNCTION as_real(t text) RETURNS vector LANGUAGE plpgsql AS $$
	BEGIN
		RETURN translate(t, '[]', '{}')::real[]::vector;
	EXCEPTION WHEN numeric_value_out_of_range OR invalid_text_representation THEN
		RETURN NULL;
	END $$});
my ($compared, $different) = split /\|/, $node->safe_psql('postgres', q{
	SELECT count(r), count(*) FILTER (WHERE vector_send(r) <> vector_send(t::vector))
	FROM (SELECT t, as_real(t) AS r FROM input_vector JOIN outcome_vector_text USING (n)
		WHERE state = '00000') s});
cmp_ok($compared, '>', 500, "$compared vectors are compared with real[]");
is($different, '0', 'they have the same elements');

is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $started, 'the server was not restarted');
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal|TRAP:|crash of another server process/,
	'the log knows of no crash');

done_testing();
