require('lib')
