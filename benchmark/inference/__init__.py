"""What is done with a trained model: evaluated again, on other pictures, on worse ones, asked about one picture."""
