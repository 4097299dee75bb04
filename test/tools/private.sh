# private.sh
#    What test/run and demo/run share: a private folder with an installation of
#    vecx in it, and servers that live in it and touch nothing else.  Read by
#    bash.
#
# The folder lies below /var/tmp (or $VECX_TMPDIR), not in the source tree:
# initdb refuses to work for root, and the user it then works for may not be
# able to enter the folders that lead to the tree.
#
#    $private/install     the installation (DESTDIR)
#    $private/server.conf settings that lead a server to it
#    $private/run         owned by the server's user, closed to others: data,
#                         sockets, logs

umask 022
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# The caller's libpq settings lead elsewhere.
for name in $(compgen -e PG); do
	[ "$name" = PG_CONFIG ] || unset "$name"
done
unset TMPDIR name

die()
{
	echo "$(basename "$0"): $*" >&2
	exit 1
}

# Sets pg_config, bindir, pgxs_src and server_user (empty: the caller).
find_postgres()
{
	pg_config=${PG_CONFIG:-pg_config}
	bindir=$("$pg_config" --bindir) || die "cannot run $pg_config"
	pgxs_src=$(dirname "$(dirname "$("$pg_config" --pgxs)")")
	server_user=
	if [ "$(id -u)" -eq 0 ]; then
		server_user=nobody
		! id postgres >/dev/null 2>&1 || server_user=postgres
	fi
}

# Runs a command as the user that servers run as, in $private/run.
as_server()
{
	(
		cd "$private/run" || exit 1
		if [ -n "$server_user" ]; then
			exec setpriv --reuid="$server_user" --regid="$(id -g "$server_user")" \
				--init-groups env HOME="$private/run" "$@"
		else
			exec "$@"
		fi
	)
}

# make_private NAME: sets private to a new folder.
make_private()
{
	private=$(mktemp -d "${VECX_TMPDIR:-/var/tmp}/vecx-$1.XXXXXX") || exit 1
	chmod 755 "$private"
	mkdir -m 700 "$private/run"
	[ -z "$server_user" ] || chown "$server_user:" "$private/run"
}

# Builds the tree, quietly but for warnings, with make_options if there are any.
build()
{
	local jobs

	jobs=-j$(getconf _NPROCESSORS_ONLN)
	case "${MAKEFLAGS:-}" in *-j*) jobs= ;; esac
	"${MAKE:-make}" -s --no-print-directory -C "$top" $jobs ${make_options:-} all
}

# Installs into $private/install and writes $private/server.conf.
install_private()
{
	local lib share

	lib=$("$pg_config" --pkglibdir)
	share=$("$pg_config" --sharedir)
	case "$("$bindir/postgres" --describe-config | cut -f 1)" in
		*extension_destdir*)	# Debian's PostgreSQL
			echo "extension_destdir = '$private/install'" >"$private/server.conf"
			;;
		*extension_control_path*)	# PostgreSQL 18 and later
			echo "extension_control_path = '$private/install$share:\$system'" >"$private/server.conf"
			;;
		*)
			die "the server in $bindir cannot load an extension from another folder" \
				"(that takes Debian's PostgreSQL, or PostgreSQL 18)"
			;;
	esac
	echo "dynamic_library_path = '$private/install$lib:\$libdir'" >>"$private/server.conf"
	"${MAKE:-make}" -s --no-print-directory -C "$top" ${make_options:-} install DESTDIR="$private/install" \
		>"$private/install.log" 2>&1 || {
		cat "$private/install.log" >&2
		die "make install failed"
	}
}

# start_server NAME [SETTING...]: a cluster in $private/run/NAME whose socket is
# in $private/run, without TCP.  Its superuser is postgres.
server_port=54329
start_server()
{
	local data=$private/run/$1
	shift

	as_server "$bindir/initdb" -D "$data" -U postgres -A trust -N \
		--locale=C.UTF-8 --encoding=UTF8 >"$private/initdb.log" 2>&1 || {
		cat "$private/initdb.log" >&2
		die "initdb failed"
	}
	{
		cat "$private/server.conf"
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$private/run'"
		echo "port = $server_port"
		printf '%s\n' "$@"
	} | as_server tee -a "$data/postgresql.conf" >/dev/null
	as_server "$bindir/pg_ctl" -s -w -D "$data" -l "$data.log" start </dev/null || {
		cat "$private/run/$(basename "$data").log" >&2
		die "the server did not start"
	}
}

# Ends every server whose data lies in the folder, then removes the folder.
remove_private()
{
	local pidfile

	[ -n "${private:-}" ] && [ -d "$private" ] || return 0
	find "$private/run" -name postmaster.pid 2>/dev/null | while read -r pidfile; do
		as_server "$bindir/pg_ctl" -s -w -m immediate -D "$(dirname "$pidfile")" stop \
			>/dev/null 2>&1 || true
	done
	rm -rf "$private"
}
