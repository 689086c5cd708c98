import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { rust } from './rust.ts'

void runBuildpack(rust, invocationOf(process)).then(status => (process.exitCode = status))
