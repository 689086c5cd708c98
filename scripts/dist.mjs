// `npm run dist` and similar commands: make the files by which users install Bale. Installs the requirements, then runs
// distribution/main.ts.
import { run, setup } from './setup.mjs'

// Programs and libraries for the other architecture: a lifecycle is made for both.
const [machine, arch] = process.arch === 'arm64' ? ['x86_64', 'amd64'] : ['aarch64', 'arm64']
const gnu = `${machine}-linux-gnu`
const name = gnu.replace('_', '-')
const own = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'
setup({
  programs: { strip: 'binutils', [`${gnu}-gcc`]: `gcc-${name}`, [`${gnu}-strip`]: `binutils-${name}` },
  files: {
    [`/usr/lib/${own}/libstdc++.so.6`]: 'libstdc++6',
    [`/usr/${gnu}/lib/libc.so.6`]: `libc6-${arch}-cross`,
    [`/usr/${gnu}/lib/libgcc_s.so.1`]: `libgcc-s1-${arch}-cross`,
    [`/usr/${gnu}/lib/libstdc++.so.6`]: `libstdc++6-${arch}-cross`,
  },
})
process.exit(run(['distribution/main.ts', ...process.argv.slice(2)]).status ?? 1)
