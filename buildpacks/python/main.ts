import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { python } from './python.ts'

process.exitCode = await runBuildpack(python, invocationOf(process))
