// A program for `node` that runs a shell script where there is no sandbox: SUPERVISOR SCRIPT.
import { supervise } from '../../lifecycle/processes/supervisor.ts'

const [supervisor = '', script = ''] = process.argv.slice(2)
const argv = ['/bin/sh', '-c', script]
const env = { PATH: '/usr/bin:/bin' }
await supervise({ supervisor, argv, env, cwd: '/', user: undefined, stdio: ['ignore', 'ignore', 'ignore'] }).ended
