"""The wizard: what a person sees. Draws what the engine tells and asks what the engine asks; decides nothing."""
