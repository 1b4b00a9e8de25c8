# What a user adds to the node image: packages, Kubernetes' programs, images to begin with. Sourced by build, which sets
# $here, $work, $packages, $kubelet and $preloads.

# Before anything is built.
check_extras()
{
	local file name

	for name in "${packages[@]+"${packages[@]}"}"; do
		[[ $name =~ ^[a-z0-9][a-z0-9+.-]+$ ]] || die "not a Debian package name: $name"
	done
	if [[ -n $kubelet ]]; then
		[[ -f $kubelet/kubelet ]] || die "no kubelet in $kubelet"
	fi
	for file in "${preloads[@]+"${preloads[@]}"}"; do
		[[ -f $file ]] || die "no such archive: $file"
		tar -tf "$file" 2> /dev/null | grep -qE '^(\./)?(manifest\.json|index\.json)$' ||
		    die "not an image archive (docker save or an OCI layout): $file"
	done
	((${#packages[@]} == 0)) || [[ -z $base ]] || die "--package builds a base of its own and cannot be added to --base-tag"
}

# kind's rules for the unit (CN-135). kubeadm writes the files it waits for; until then it does not start.
kubelet_unit()
{
	cat <<-'END'
	[Unit]
	Description=kubelet, the Kubernetes node agent
	After=containerd.service berthd.service
	ConditionPathExists=/var/lib/kubelet/config.yaml

	[Service]
	EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
	ExecStart=/usr/bin/kubelet --config=/var/lib/kubelet/config.yaml --kubeconfig=/etc/kubernetes/kubelet.conf --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf $KUBELET_KUBEADM_ARGS
	Restart=always
	RestartSec=1s
	StartLimitIntervalSec=0
	KillMode=process
	Slice=kubelet.slice
	CPUAccounting=yes
	MemoryAccounting=yes

	[Install]
	WantedBy=multi-user.target
	END
}

stage_kubelet()
{
	local root=$1 program
	local units=$root/usr/lib/systemd/system

	for program in kubelet kubeadm kubectl; do
		[[ ! -f $kubelet/$program ]] || install -D -m 755 "$kubelet/$program" "$root/usr/bin/$program"
	done
	mkdir -p "$units"
	kubelet_unit > "$units/kubelet.service"
	ln -s /usr/lib/systemd/system/kubelet.service "$root/etc/systemd/system/multi-user.target.wants/"
}

# Each archive is one more command of the unit that imports the node's own images.
stage_preloads()
{
	local root=$1 number=0 file
	local unit=$root/usr/lib/systemd/system/berth-images.service.d

	for file in "${preloads[@]}"; do
		number=$((number + 1))
		install -D -m 644 "$file" "$root/usr/share/berth/preload-$number.tar"
		mkdir -p "$unit"
		printf '[Service]\nExecStart=/usr/bin/ctr --namespace k8s.io images import /usr/share/berth/preload-%d.tar\n' \
		    $number > "$unit/20-preload-$number.conf"
	done
}

stage_extras()
{
	local root=$1

	[[ -z $kubelet ]] || stage_kubelet "$root"
	((${#preloads[@]} == 0)) || stage_preloads "$root"
}
