import type { Crate } from './metadata.ts'

/**
 * Debian packages for building crates with native code, beside those of the build image. They are not needed if one of the named
 * features is on, with which a crate includes or finds its own library.
 */
const packagesOfCrates: Readonly<
  Record<string, { readonly packages: readonly string[]; readonly unless?: readonly string[] }>
> = {
  'alsa-sys': { packages: ['libasound2-dev'] },
  'clang-sys': { packages: ['libclang-dev'], unless: ['static'] },
  cmake: { packages: ['cmake'] },
  'expat-sys': { packages: ['libexpat1-dev'] },
  'ffmpeg-sys-next': {
    packages: [
      'libavcodec-dev',
      'libavdevice-dev',
      'libavfilter-dev',
      'libavformat-dev',
      'libswresample-dev',
      'libswscale-dev',
    ],
  },
  'gdal-sys': { packages: ['libgdal-dev'], unless: ['bundled'] },
  'geos-sys': { packages: ['libgeos-dev'], unless: ['static'] },
  'libdbus-sys': { packages: ['libdbus-1-dev'], unless: ['vendored'] },
  'libsodium-sys': { packages: ['libsodium-dev'] },
  'libsqlite3-sys': {
    packages: ['libsqlite3-dev'],
    unless: ['bundled', 'bundled-sqlcipher', 'bundled-sqlcipher-vendored-openssl'],
  },
  'libudev-sys': { packages: ['libudev-dev'] },
  libvips: { packages: ['libvips-dev'] },
  libxml: { packages: ['libxml2-dev'] },
  magick_rust: { packages: ['libmagickwand-dev'] },
  'mysqlclient-sys': { packages: ['libmariadb-dev'], unless: ['bundled'] },
  'pq-sys': { packages: ['libpq-dev'], unless: ['bundled', 'bundled_without_openssl'] },
  'proj-sys': { packages: ['libproj-dev'], unless: ['bundled_proj'] },
  // Types such as google.protobuf.Timestamp are in a separate package.
  'prost-build': { packages: ['libprotobuf-dev', 'protobuf-compiler'] },
  'rdkafka-sys': { packages: ['librdkafka-dev'], unless: ['cmake-build'] },
  'sasl2-sys': { packages: ['libsasl2-dev'], unless: ['vendored'] },
  'tesseract-sys': { packages: ['libtesseract-dev'] },
  'leptonica-sys': { packages: ['libleptonica-dev'] },
  'yeslogic-fontconfig-sys': { packages: ['libfontconfig-dev'] },
  'zmq-sys': { packages: ['libzmq3-dev'] },
}

/** The Debian packages for an application's crates, sorted. */
export function nativePackages(crates: readonly Crate[]): string[] {
  const wanted = crates.flatMap(({ name, features }) => {
    const entry = Object.hasOwn(packagesOfCrates, name) ? packagesOfCrates[name] : undefined
    if (entry === undefined || entry.unless?.some(feature => features.includes(feature)) === true) return []
    return entry.packages
  })
  return [...new Set(wanted)].toSorted()
}
