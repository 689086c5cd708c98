import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { procfile } from './procfile.ts'

void runBuildpack(procfile, invocationOf(process)).then(status => (process.exitCode = status))
