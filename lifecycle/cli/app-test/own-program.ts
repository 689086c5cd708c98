import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { unpacked, unpackedDir } from '../commands/run.ts'
import type { CommandContext } from '../context.ts'
import { listTree } from '../../layers/tree/list.ts'
import { findDistribution } from '../../platform/distribution.ts'
import { spawnProgram } from '../../processes/launch.ts'
import { Stores } from '../../stores/open.ts'
import type { Commands, Ended, Started } from './check.ts'

/**
 * Starts the running program again for each command. Each such process ends with this one.
 * @param echo receives the output of `bale build`, in whole lines
 */
export function ownProgram(context: CommandContext, echo: (text: string) => void): Commands {
  const start = (args: readonly string[]): Started => {
    context.signal.throwIfAborted()
    const program = join(findDistribution(import.meta.url).root, 'bale.cjs')
    // The same arguments as in bin/bale, which explains them.
    const child = spawnProgram(process.execPath, ['--disable-sigusr1', '--', program, ...args], {
      env: context.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const said = { stdout: '', output: '' }
    const unfinished = { stdout: '', stderr: '' }
    const echoLines = (text: string): string => {
      const end = text.lastIndexOf('\n')
      if (end !== -1 && args[0] === 'build') echo(text.slice(0, end))
      return text.slice(end + 1)
    }
    const hear = (stream: 'stdout' | 'stderr') => (text: string) => {
      said.output = kept(said.output + text)
      if (stream === 'stdout') said.stdout = kept(said.stdout + text)
      unfinished[stream] = echoLines(unfinished[stream] + text)
    }
    child.stdout?.setEncoding('utf8').on('data', hear('stdout'))
    child.stderr?.setEncoding('utf8').on('data', hear('stderr'))
    const stop = (): void => void child.kill('SIGTERM')
    context.signal.addEventListener('abort', stop, { once: true })
    let isOver = false
    const ended = new Promise<Ended>((done, failed) => {
      child.once('error', failed)
      child.once('close', (code, signal) => {
        isOver = true
        context.signal.removeEventListener('abort', stop)
        if (context.signal.aborted) failed(context.signal.reason as Error)
        else done({ code: code ?? (signal === 'SIGKILL' ? 137 : 143), ...said })
      })
    })
    ended.catch(() => {}) // the code that awaits the promise gets the error
    return { ended, hasEnded: () => isOver, stop }
  }
  return { start, files: image => filesOf(context, image) }
}

/** Bounds the memory, since a program may print endlessly. */
const mostKept = 16_000_000
const kept = (text: string): string => (text.length > mostKept ? text.slice(-mostKept / 2) : text)

async function filesOf(
  context: CommandContext,
  name: string,
): Promise<{ readonly unpacked: number; readonly paths: readonly string[] }> {
  await using stores = new Stores(context.settings, context.reporter)
  const { image } = await stores.find(name, context.signal)
  const base = await unpackedDir(context.settings.cacheDir)
  const rootfs = await unpacked(image, base, context.signal, () => {})
  const paths: string[] = []
  const inodes = new Map<number, number>()
  for (const path of await listTree(rootfs)) {
    const found = await lstat(Buffer.concat([Buffer.from(`${rootfs}/`), path]))
    if (found.isDirectory()) continue
    paths.push(`/${path.toString()}`)
    if (found.isFile()) inodes.set(found.ino, found.size)
  }
  return { unpacked: [...inodes.values()].reduce((sum, size) => sum + size, 0), paths }
}
