import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { liveReload } from './live-reload.ts'

void runBuildpack(liveReload, invocationOf(process)).then(status => (process.exitCode = status))
