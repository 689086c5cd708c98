console.log('compiled for this Node:', require('./build/Release/answer.node').answer)
