import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { procfile } from './procfile.ts'

process.exitCode = await runBuildpack(procfile, invocationOf(process))
