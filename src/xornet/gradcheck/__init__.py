"""One step worked with every number; three gradients compared."""
