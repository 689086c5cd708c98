import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { ruby } from './ruby.ts'

void runBuildpack(ruby, invocationOf(process)).then(status => (process.exitCode = status))
