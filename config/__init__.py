"""The root of the project: settings, urls, servers, Celery, the supervisor. The only place that knows all three apps."""
