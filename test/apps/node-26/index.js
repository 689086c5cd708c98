console.log('Node', process.versions.node.split('.')[0], 'has what it links')
