#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The newer PoCL and rusticl of Debian 13, in a chroot in the build folder (some 1.5 GB): the smoke suite.
. "$(dirname "$0")/common.sh"

root=$work/root
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo --preserve-env)

# A Debian of this system's own mirror; its libraries, and those of this system that the programs need and it lacks.
make_root() {
  local mirror library
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Label: Debian' 'Component: main' | head -n 1)
  [ -n "$mirror" ] || skip "pocl-opencl-icd and mesa-opencl-icd of Debian 13: this system's packages are not Debian's"
  install debootstrap
  "${sudo[@]}" rm -rf "$root"
  "${sudo[@]}" debootstrap --variant=minbase --include=pocl-opencl-icd,mesa-opencl-icd,ocl-icd-libopencl1,libstdc++6 \
    trixie "$root" "$mirror" >"$work/debootstrap.log" 2>&1 || die "debootstrap failed" "$work/debootstrap.log"
}

copy_libraries() {
  local library
  "${sudo[@]}" mkdir -p "$root/host"
  for library in $(ldd build/tests/device/device_suite build/src/cli/clsink | awk '$2 == "=>" { print $3 }' | sort -u); do
    compgen -G "$root/usr/lib/*/$(basename "$library")" >/dev/null || "${sudo[@]}" cp -L "$library" "$root/host/"
  done
}

# A root that is no mount, as in a chroot, has no propagation that could be changed.
propagation=private
"${sudo[@]}" unshare --mount --propagation private true 2>/dev/null || propagation=unchanged

# in_trixie COMMAND...: in this folder; the mounts are its own and vanish with it.
in_trixie() {
  # shellcheck disable=SC2016
  "${sudo[@]}" unshare --mount --propagation "$propagation" bash -c '
    set -e
    root=$1 tree=$2
    shift 2
    for folder in proc sys dev; do mount --bind "/$folder" "$root/$folder"; done
    mkdir -p "$root$tree"
    mount --bind "$tree" "$root$tree"
    exec chroot "$root" /usr/bin/env LD_LIBRARY_PATH=/host bash -c '\''cd "$0" && exec "$@"'\'' "$tree" "$@"' \
    trixie "$root" "$tree" "$@"
}

if [ ! -e "$work/complete" ]; then
  make_root
  touch "$work/complete"
fi
copy_libraries

export CLSINK_DEVICE="Portable Computing Language" OCL_ICD_VENDORS=/etc/OpenCL/vendors/pocl.icd
run_suite pocl smoke in_trixie
checked "the smoke suite" in_trixie
export CLSINK_DEVICE=rusticl OCL_ICD_VENDORS=/etc/OpenCL/vendors/rusticl.icd RUSTICL_ENABLE=llvmpipe
run_suite rusticl smoke in_trixie
checked "the smoke suite" in_trixie
finish
