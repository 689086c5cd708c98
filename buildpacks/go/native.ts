/** Debian packages for the names in `#cgo pkg-config: NAME`, beside those of the build image. */
const packagesOfNames: Readonly<Record<string, string>> = {
  MagickWand: 'libmagickwand-dev',
  alsa: 'libasound2-dev',
  cairo: 'libcairo2-dev',
  gdal: 'libgdal-dev',
  lept: 'libleptonica-dev',
  libgit2: 'libgit2-dev',
  libpq: 'libpq-dev',
  libsodium: 'libsodium-dev',
  libsystemd: 'libsystemd-dev',
  libudev: 'libudev-dev',
  'libusb-1.0': 'libusb-1.0-0-dev',
  libwebp: 'libwebp-dev',
  'libxml-2.0': 'libxml2-dev',
  libzmq: 'libzmq3-dev',
  opus: 'libopus-dev',
  rdkafka: 'librdkafka-dev',
  sqlite3: 'libsqlite3-dev',
  tesseract: 'libtesseract-dev',
  vips: 'libvips-dev',
}

export function nativePackages(pkgConfig: readonly string[]): string[] {
  const names = pkgConfig.flatMap(name => (Object.hasOwn(packagesOfNames, name) ? (packagesOfNames[name] ?? []) : []))
  return [...new Set(names)].toSorted()
}
