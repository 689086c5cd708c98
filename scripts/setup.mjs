// Prepares a fresh Debian or Ubuntu machine with only Node (20 or newer) and npm for Bale: installs the pinned
// dependencies, and the system's programs. It runs before any dependency exists, so it only uses Node.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Programs and their packages, in Debian and in Ubuntu. */
const programs = {
  bwrap: 'bubblewrap',
  mmdebstrap: 'mmdebstrap',
  gcc: 'gcc',
  tar: 'tar',
}
/** Required files of packages without a program. */
const files = {
  '/usr/share/keyrings/debian-archive-keyring.gpg': 'debian-archive-keyring',
  '/etc/ssl/certs/ca-certificates.crt': 'ca-certificates',
}
/** For an ordinary user, mmdebstrap makes its files with the user's subordinate ids. */
const unprivileged = { newuidmap: 'uidmap' }

/** npm's package of Node for this machine, which distribution/runtime depends on. */
const nodePackage = `node-linux-${process.arch}`

/** @param more programs and files, with their packages, that only one command needs */
export function setup(more = {}) {
  requireLinux()
  installSystemPackages(more)
  installDependencies()
}

function requireLinux() {
  if (process.platform === 'linux') return
  fail(`Bale builds on Linux, and this is ${process.platform}.`, 'Use a Linux machine, a virtual one, or WSL 2.')
}

export function onPath(program) {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .concat('/usr/sbin', '/sbin')
    .some(dir => {
      try {
        accessSync(join(dir, program), constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

function missingPackages(more) {
  const isRoot = process.getuid() === 0
  const wanted = { ...programs, ...(isRoot ? {} : unprivileged), ...more.programs }
  return [
    ...Object.entries(wanted).filter(([program]) => !onPath(program)),
    ...Object.entries({ ...files, ...more.files }).filter(([file]) => !existsSync(file)),
  ].map(([, name]) => name)
}

function installSystemPackages(more) {
  const missing = missingPackages(more)
  if (missing.length === 0) return
  const command = `apt-get install -y --no-install-recommends ${missing.join(' ')}`
  if (process.getuid() !== 0) {
    fail(
      `These Debian packages are missing: ${missing.join(', ')}.`,
      `Install them and run this again:\n\n    sudo apt-get update && sudo ${command}\n`,
    )
  }
  if (!onPath('apt-get'))
    fail(
      `These programs are missing: ${missing.join(', ')}.`,
      'Install them with the package manager of this machine, and run this again.',
    )
  console.log(`Installing ${missing.join(', ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const quiet = (...argv) => spawnSync('apt-get', argv, { env, encoding: 'utf8' })
  let result = quiet('update')
  if (result.status === 0) result = quiet('install', '-y', '--no-install-recommends', ...missing)
  const left = missingPackages(more)
  if (left.length > 0)
    fail(
      `${result.stdout}${result.stderr}\nCould not install ${left.join(', ')}.`,
      `See what apt-get says above, then run: apt-get update && ${command}`,
    )
}

/** `npm ci`, once for each package-lock.json. */
function installDependencies() {
  const stamp = join(root, 'node_modules', '.bale-setup')
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock && existsSync(bundledNode())) return
  console.log('Installing the dependencies of package-lock.json')
  // Node 20 starts npm. Programs that need a newer Node run with the one from the dependencies.
  const result = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    encoding: 'utf8',
  })
  if (result.status !== 0)
    fail(
      `${result.stdout}${result.stderr}\nnpm ci failed.`,
      'See what npm says above: most often the registry cannot be reached.',
    )
  // npm silently leaves out an optional package that is unavailable or does not match package-lock.json.
  if (!existsSync(bundledNode()))
    fail(
      `npm has not installed ${nodePackage}: the registry lacks it, or its integrity differs from package-lock.json.`,
      `See what npm says of it: npm ci --loglevel=verbose 2>&1 | grep ${nodePackage}`,
    )
  writeFileSync(stamp, lock)
}

/** The Node from the dependencies, which package-lock.json pins: new enough, unlike perhaps the machine's. */
export function bundledNode() {
  return join(root, 'node_modules', nodePackage, 'bin', 'node')
}

/** Runs one of the project's own programs with that Node. */
export function run(argv, options = {}) {
  const result = spawnSync(bundledNode(), ['--disable-sigusr1', ...argv], { cwd: root, stdio: 'inherit', ...options })
  if (result.error) throw result.error
  return result
}

export function fail(what, fix) {
  console.error(`\n${what}\n${fix}`)
  process.exit(1)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setup()
