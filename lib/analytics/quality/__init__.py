"""What must hold before anything is published: Great Expectations and its pages."""
