# The base layer of the node image: Debian's packages and nothing of ours. Sourced by build, which sets $here (this
# folder), $work (a temporary folder) and engine_pack. The tag is a hash of what goes in, so that an unchanged base is
# never built twice and a changed one is never missed.

base_suite=bookworm
base_name=localhost/berth-node-base
# One date for every base: it must not change with each commit. It is the day of Debian 12's release.
base_epoch=1686355200

base_tag()
{
	local hash

	hash=$({
		cat "$here/base.sh" "$here/packages" "$here/trim"
		extra_packages
	} | sha256sum)
	echo "$base_name:${hash:0:12}"
}

# The user's own, one a line.
extra_packages()
{
	printf '%s\n' "${packages[@]+"${packages[@]}"}" | sed '/^$/d' | sort -u
}

base_packages()
{
	{
		sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$here/packages"
		extra_packages
	} | sort -u | paste -sd,
}

# The host's own apt sources, one line each, asked from apt: which mirror that is stays the host's business and gets
# into no file of ours.
base_sources()
{
	apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
	    grep -E "[ /]$base_suite([ -]|/)" | sort -u
}

# Without update no index has an origin to select by, as in a fresh container.
base_update_lists()
{
	if [[ -z $(base_sources) ]]; then
		apt-get -q update >&2
	fi
	if [[ -z $(base_sources) ]]; then
		die "this host's apt sources hold no Debian $base_suite"
	fi
}

base_proxy_options()
{
	local proxy

	proxy=$(apt-config shell p Acquire::http::Proxy)
	if [[ -n $proxy ]]; then
		eval "$proxy"
		# shellcheck disable=SC2154 # p is set by the line above
		echo "--aptopt=Acquire::http::Proxy \"$p\""
	fi
}

base_bootstrap()
{
	local root=$1
	local -a proxy
	local hooks=/usr/share/mmdebstrap/hooks

	mapfile -t proxy < <(base_proxy_options)
	base_sources | SOURCE_DATE_EPOCH=$base_epoch mmdebstrap --quiet --mode=auto --variant=essential \
	    --skip=check/empty --hook-dir=$hooks/merged-usr --include="$(base_packages)" \
	    --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
	    --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Check-Valid-Until "false"' ${proxy[@]+"${proxy[@]}"} \
	    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	    "$base_suite" "$root" - > "$work/bootstrap.log" 2>&1 || {
		tail -n 30 "$work/bootstrap.log" >&2
		die "mmdebstrap failed"
	}
}

# By hand and not by systemd-sysusers, which would choose the number at each boot. Files of ours name the user.
base_users()
{
	local root=$1

	echo 'berthd-front:x:250:250:Berth node front:/nonexistent:/usr/sbin/nologin' >> "$root/etc/passwd"
	echo 'berthd-front:x:250:' >> "$root/etc/group"
	echo 'berthd-front:!*:19518::::::' >> "$root/etc/shadow"
}

base_build()
{
	local tag=$1
	local root=$work/base

	base_update_lists
	mkdir "$root"
	base_bootstrap "$root"
	base_users "$root"
	"$here/trim" "$root"
	engine_pack "$root" "$base_epoch" '{"Labels":{"io.berth.image":"node-base"}}' '' "$tag"
	rm -rf "$root"
}
