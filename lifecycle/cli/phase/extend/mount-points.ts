import { readFile } from 'node:fs/promises'

/** Where something is mounted in this container, but for its root: volumes, /proc, /etc/resolv.conf (proc_pid_mountinfo(5)). */
export async function mountPoints(): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).trimEnd().split('\n')
  const points = lines.map(line => unescape(line.split(' ')[4] ?? '/'))
  return points.filter(path => path !== '/')
}

/** Spaces, tabs, newlines and backslashes are octal numbers there, with the bytes of the name as they are. */
const unescape = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
