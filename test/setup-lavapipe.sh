#!/bin/sh
# Installs a Vulkan driver that computes on the processor: Mesa's lavapipe, 25 or later, with which `--device webgpu` can be tested
# on machines without a graphics card. Debian's own is older where its release is 'bookworm': then from backports. For root, with apt.
set -e
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo 'lavapipe: skipped (needs root and apt-get)'
  exit 0
fi
. /etc/os-release
release=
if [ "$VERSION_CODENAME" = bookworm ]; then
  release=bookworm-backports
  echo "deb http://deb.debian.org/debian $release main" >/etc/apt/sources.list.d/$release.list
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends ${release:+-t $release} mesa-vulkan-drivers libvulkan1 >/dev/null
echo "lavapipe: $(dpkg-query -W -f='${Version}' mesa-vulkan-drivers)"
